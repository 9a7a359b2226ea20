/** What the strip has to ask the kernel for, remembered until the next frame. */

import type { Host } from "../shared/host/host";
import { createQuestion, isAbout, type Question } from "../shared/host/question";
import { readAlternatives } from "./alternatives";
import type { Alternatives } from "./card";
import type { StripData } from "./data";
import type { Span } from "./profile";
import type { StripState } from "./state";

/** How some tokens in a row were predicted. */
export interface PartOfText {
  n_scored: number;
  n_correct: number;
  perplexity: number | null;
}

export interface Questions {
  span(span: Span): PartOfText | string;
  alternatives(data: StripData, position: number, k: number): Alternatives;
  /** Weights of a target row on the source tokens, or in words why they are not there (yet). */
  source(data: StripData, position: number): Float32Array | string;
  /** A new frame: what was asked for the old one is void. */
  forget(): void;
}

const WAITING = "Asking the kernel …";

export function createQuestions(
  host: Host<StripState>,
  signal: AbortSignal,
  onReply: () => void,
): Questions {
  const top = createQuestion(host, signal, {
    name: "top_k",
    read: (answer, _: { position: number; k: number }) => readAlternatives(answer),
    onReply,
  });
  let shown: StripData["frame"]["key"] | null = null;
  const source = createQuestion(host, signal, {
    name: "source_attention",
    read: ({ result, arrays }, _: { position: number }) =>
      isAbout(result.about, shown) ? Float32Array.from(arrays.weights?.values ?? []) : null,
    onReply,
  });
  const part = createQuestion(host, signal, {
    name: "span",
    read: ({ result }, _: { start: number; stop: number }) => result as unknown as PartOfText,
    onReply,
  });
  /** The answer, or in words why there is none (yet). */
  const answer = <A extends { position: number }, T>(of: Question<A, T>, args: A): T | string => {
    const reply = of.reply(args);
    if (reply) return "value" in reply ? reply.value : reply.failure;
    const { hovered, selected } = host.state;
    // Only the token the card is about is asked for; the wire drops what the pointer left behind.
    if ((hovered ?? selected.at(-1)) === args.position) of.ask(args);
    return WAITING;
  };
  return {
    alternatives: (data, position, k) =>
      data.alternatives(position, k) ?? answer(top, { position, k }),
    source(data, position) {
      shown = data.frame.key;
      return data.cross?.(position) ?? answer(source, { position });
    },
    span([start, stop]) {
      const reply = part.reply({ start, stop });
      if (reply) return "value" in reply ? reply.value : reply.failure;
      part.ask({ start, stop });
      return WAITING;
    },
    forget() {
      part.forget();
      top.forget();
      source.forget();
    },
  };
}
