/**
 * A question that a view asks again and again, of other things each time: asked once of each,
 * answers remembered, late ones dropped.
 */

import { type Answer, type Host, isAbort } from "./host";

/** What came back: the answer, or in words why there is none. */
export type Reply<T> = { readonly value: T } | { readonly failure: string };

export interface Question<A, T> {
  /** What came back for these arguments; undefined = not asked, or not answered yet. */
  reply(args: A): Reply<T> | undefined;
  /** The answer, where there is one. */
  value(args: A): T | undefined;
  /** Asks, unless that is known or on its way. `onReply` tells when it has come. */
  ask(args: A): void;
  /** What the answers are about is no more: neither what is known nor what is on its way counts. */
  forget(): void;
}

export interface QuestionOptions<A, T> {
  name: string;
  /** Reads an answer; null where it is not about what is shown. */
  read(answer: Answer, args: A): T | null;
  onReply(): void;
  /** Answers that are kept: those that were looked at last. */
  most?: number;
}

/** Whether an answer is about the picture that is shown, by the state that each says. */
export function isAbout(answered: unknown, shown: unknown): boolean {
  return JSON.stringify(answered) === JSON.stringify(shown);
}

/** The block that a place is in, where an answer is about `size` neighbours at once. */
export function blockOf(place: number, size: number): { first: number; within: number } {
  const within = place % Math.max(1, size);
  return { first: place - within, within };
}

export function createQuestion<A extends Record<string, string | number | readonly number[]>, T>(
  host: Pick<Host<never>, "ask" | "onStatus">,
  signal: AbortSignal,
  { name, read, onReply, most = 64 }: QuestionOptions<A, T>,
): Question<A, T> {
  const replies = new Map<string, Reply<T>>();
  // Made anew when all is forgotten: an answer whose set this is no more comes too late.
  let open = new Set<string>();
  const keep = (key: string, reply: Reply<T>): void => {
    replies.set(key, reply);
    if (replies.size > most) replies.delete(replies.keys().next().value ?? "");
    onReply();
  };
  // A refusal for want of a kernel is worth nothing once there is one.
  host.onStatus(() => {
    const refused = [...replies].filter(([, reply]) => "failure" in reply);
    for (const [key] of refused) replies.delete(key);
    if (refused.length) onReply();
  }, signal);
  const reply = (args: A): Reply<T> | undefined => {
    const key = JSON.stringify(args);
    const known = replies.get(key);
    if (known) {
      replies.delete(key);
      replies.set(key, known);
    }
    return known;
  };
  return {
    reply,
    value(args) {
      const known = reply(args);
      return known && "value" in known ? known.value : undefined;
    },
    ask(args) {
      const key = JSON.stringify(args);
      if (replies.has(key) || open.has(key)) return;
      const asked = open.add(key);
      /** Whether somebody still waits for it. */
      const close = (): boolean => asked.delete(key) && asked === open && !signal.aborted;
      host.ask(name, args, signal).then(
        (answer) => {
          if (!close()) return;
          const value = read(answer, args);
          if (value !== null) keep(key, { value });
        },
        (error: unknown) => {
          // A newer question took its place: it may be asked again.
          if (!close() || isAbort(error)) return;
          keep(key, { failure: error instanceof Error ? error.message : String(error) });
        },
      );
    },
    forget() {
      replies.clear();
      open = new Set();
    },
  };
}
