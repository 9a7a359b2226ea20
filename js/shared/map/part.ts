/** A part of a map that is asked for; the last one stays until the next is there. */

import type { Answer, Host } from "../host/host";
import { createQuestion } from "../host/question";

export interface Part<R, G> {
  readonly current: G | null;
  want(range: R): void;
  clear(): void;
}

export interface PartOptions<R, G> {
  name: string;
  /** Reads an answer; null where it is not about what is shown. */
  read(answer: Answer, range: R): G | null;
  onArrival(): void;
  /** Answers that are kept. */
  most: number;
}

export function createPart<R extends Record<string, number>, G>(
  host: Pick<Host<never>, "ask" | "onStatus">,
  signal: AbortSignal,
  { name, read, onArrival, most }: PartOptions<R, G>,
): Part<R, G> {
  let current: G | null = null;
  let wanted: R | null = null;
  const question = createQuestion<R, G>(host, signal, {
    name,
    read,
    onReply() {
      const next = wanted && question.value(wanted);
      if (!next) return;
      current = next;
      onArrival();
    },
    most,
  });
  return {
    get current() {
      return current;
    },
    want(range) {
      wanted = range;
      current = question.value(range) ?? current;
      question.ask(range);
    },
    clear() {
      current = null;
      wanted = null;
      question.forget();
    },
  };
}
