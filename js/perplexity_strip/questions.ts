/** What the strip has to ask the kernel for, remembered until the next frame. */

import { unpack } from "../shared/arrays";
import type { Axes, Sequence } from "../shared/state";
import type { Host } from "../shared/view";
import { isAbort } from "../shared/wire";
import { readAlternatives } from "./alternatives";
import type { Alternatives } from "./card";
import type { StripData } from "./data";
import type { StripState } from "./state";

export interface Questions {
  alternatives(data: StripData, position: number, k: number): Alternatives;
  /** Weights of a target row on the source tokens, or in words why they are not there (yet). */
  source(data: StripData, position: number): Float32Array | string;
  /** All tokens of a token's word. */
  wordOf(axes: Axes, sequence: Sequence, position: number): number[];
  /** A new frame: what was asked for the old one is void. */
  forget(): void;
}

const WAITING = "Asking the kernel …";

export function createQuestions(
  host: Host<StripState>,
  signal: AbortSignal,
  onAnswer: () => void,
): Questions {
  let answers = new Map<string, Alternatives | Float32Array>();
  const ask = <T extends Alternatives | Float32Array>(
    question: string,
    args: { position: number; k?: number },
    read: (answer: Awaited<ReturnType<Host<StripState>["ask"]>>) => T,
  ): T | string => {
    const name = `${question}:${args.position}:${args.k ?? ""}`;
    const known = answers.get(name);
    if (known !== undefined) return known as T | string;
    const { hovered, selected } = host.state;
    // Only the token the card is about is asked for; the wire drops what the pointer left behind.
    if ((hovered ?? selected.at(-1)) !== args.position) return WAITING;
    const asked = answers;
    answers.set(name, WAITING);
    const settle = (value: T | string): void => {
      if (answers !== asked) return;
      answers.set(name, value);
      onAnswer();
    };
    host.ask(question, args, signal).then(
      (answer) => settle(read(answer)),
      (error: unknown) => {
        if (isAbort(error)) asked.delete(name);
        else settle(error instanceof Error ? error.message : String(error));
      },
    );
    return WAITING;
  };
  // Refusals while there was no kernel are worth nothing once it is there, and the reverse.
  host.onStatus(() => {
    answers = new Map();
    onAnswer();
  }, signal);
  let words: { axes: Axes; sequence: Sequence; tokens: number[][]; of: ArrayLike<number> } | null =
    null;
  return {
    alternatives: (data, position, k) =>
      data.alternatives(position, k) ?? ask("top_k", { position, k }, readAlternatives),
    source: (data, position) =>
      data.cross?.(position) ??
      ask("source_attention", { position }, ({ arrays }) =>
        Float32Array.from(arrays.weights?.values ?? []),
      ),
    wordOf(axes, sequence, position) {
      if (words?.axes !== axes || words.sequence !== sequence) {
        const axis = axes.query.sequence === sequence ? axes.query : axes.key;
        const of = axis.sequence === sequence ? unpack(axis.unit_of_token) : new Uint32Array();
        const tokens: number[][] = [];
        of.forEach((unit, token) => {
          tokens[unit] ??= [];
          tokens[unit].push(token);
        });
        words = { axes, sequence, tokens, of };
      }
      return words.tokens[words.of[position] ?? -1] ?? [position];
    },
    forget() {
      answers = new Map();
    },
  };
}
