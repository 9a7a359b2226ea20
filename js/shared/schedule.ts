/** One animation-frame scheduler per view: many requests to draw become one drawing. */

export interface Schedule {
  /** Asks for `job` in the next animation frame; the same job is run once however often asked. */
  request(job: () => void): void;
  /** Runs what is waiting now (tests, exports). */
  flush(): void;
}

export function createSchedule(signal: AbortSignal): Schedule {
  const waiting = new Set<() => void>();
  let handle = 0;
  const flush = (): void => {
    cancelAnimationFrame(handle);
    handle = 0;
    const jobs = [...waiting];
    waiting.clear();
    if (signal.aborted) return;
    for (const job of jobs) job();
  };
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(handle);
    waiting.clear();
  });
  return {
    request(job) {
      if (signal.aborted) return;
      waiting.add(job);
      if (handle === 0) handle = requestAnimationFrame(flush);
    },
    flush,
  };
}
