/**
 * One animation frame for all views that share this module: many requests to draw become one
 * drawing, and what a drawing asks for in its turn is drawn in the same frame.
 */

export interface Schedule {
  /** Asks for `job` in the next animation frame; the same job is run once however often asked. */
  request(job: () => void): void;
  /** Runs what is waiting now (tests, exports). */
  flush(): void;
}

/** Schedules with something waiting. */
const WAITING = new Set<Schedule>();
/** A change of state leads to a drawing, a drawing to another one at most. */
const ROUNDS = 3;
let frame = 0;
let isDrawing = false;

/** Draws now what waits for an animation frame: a picture is of the state as it is. */
export function flushAll(): void {
  const wasDrawing = isDrawing;
  isDrawing = true;
  try {
    for (let round = 0; round < ROUNDS && WAITING.size > 0; round++) {
      for (const schedule of [...WAITING]) attempt(schedule);
    }
  } finally {
    isDrawing = wasDrawing;
  }
  if (WAITING.size > 0) ask();
}

/** A view that fails must not keep the others from being drawn. */
function attempt(schedule: Schedule): void {
  try {
    schedule.flush();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function ask(): void {
  if (frame !== 0 || isDrawing) return;
  frame = requestAnimationFrame(() => {
    frame = 0;
    flushAll();
  });
}

export function createSchedule(signal: AbortSignal): Schedule {
  const waiting = new Set<() => void>();
  const schedule: Schedule = {
    request(job) {
      if (signal.aborted) return;
      waiting.add(job);
      WAITING.add(schedule);
      ask();
    },
    flush() {
      WAITING.delete(schedule);
      const jobs = [...waiting];
      waiting.clear();
      if (signal.aborted) return;
      for (const job of jobs) job();
    },
  };
  signal.addEventListener("abort", () => {
    waiting.clear();
    WAITING.delete(schedule);
  });
  return schedule;
}
