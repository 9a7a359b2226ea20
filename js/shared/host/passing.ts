/**
 * What the pointer is on: the page knows it at once, the kernel when the pointer has come to rest.
 *
 * A pointer passes many tokens on its way, and a message for each would cost more than all that is
 * drawn. So what it is on waits here until it rests, or until something else is sent: what came
 * later is never heard of before it.
 */

/** Traits that wait. */
export const PASSING: ReadonlySet<string> = new Set(["hovered", "hovered_source"]);
/** A pointer that has not gone on for so many milliseconds rests. */
export const REST_MS = 500;

type Changes = Readonly<Record<string, unknown>>;

/** One for each model: all that shows it in the page shows the same. */
export interface Passing {
  /** Tells what shows the model; `send` is called when the pointer rests. */
  hold(changes: Changes, send: () => void): void;
  /** What was held back; from now on nothing is. */
  release(): Changes;
  /** The kernel itself has set it since. */
  drop(name: string): void;
  onHold(callback: (changes: Changes) => void, signal: AbortSignal): void;
}

export function createPassing(): Passing {
  const held = new Map<string, unknown>();
  const listeners = new Set<(changes: Changes) => void>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    hold(changes, send) {
      for (const [name, value] of Object.entries(changes)) held.set(name, value);
      for (const listener of listeners) listener(changes);
      clearTimeout(timer);
      timer = setTimeout(send, REST_MS);
    },
    release() {
      clearTimeout(timer);
      const changes = Object.fromEntries(held);
      held.clear();
      return changes;
    },
    drop: (name) => void held.delete(name),
    onHold(callback, signal) {
      listeners.add(callback);
      signal.addEventListener("abort", () => listeners.delete(callback));
    },
  };
}
