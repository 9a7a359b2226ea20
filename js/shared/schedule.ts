/** One animation-frame scheduler per view: many requests to draw become one drawing. */

export interface Schedule {
  /** Asks for `job` in the next animation frame; the same job is run once however often asked. */
  request(job: () => void): void;
  /** Runs what is waiting now (tests, exports). */
  flush(): void;
}

/** Schedules with something waiting, of all views that share this module. */
const WAITING = new Set<Schedule>();
/** A change of state leads to a drawing, a drawing to another one at most. */
const ROUNDS = 3;

/** Draws now what waits for an animation frame: a picture is of the state as it is. */
export function flushAll(): void {
  for (let round = 0; round < ROUNDS && WAITING.size > 0; round++) {
    for (const schedule of [...WAITING]) schedule.flush();
  }
}

export function createSchedule(signal: AbortSignal): Schedule {
  const waiting = new Set<() => void>();
  let handle = 0;
  const flush = (): void => {
    cancelAnimationFrame(handle);
    handle = 0;
    WAITING.delete(schedule);
    const jobs = [...waiting];
    waiting.clear();
    if (signal.aborted) return;
    for (const job of jobs) job();
  };
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(handle);
    waiting.clear();
    WAITING.delete(schedule);
  });
  const schedule: Schedule = {
    request(job) {
      if (signal.aborted) return;
      waiting.add(job);
      WAITING.add(schedule);
      if (handle === 0) handle = requestAnimationFrame(flush);
    },
    flush,
  };
  return schedule;
}
