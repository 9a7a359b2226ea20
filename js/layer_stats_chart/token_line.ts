/** One token's values in every layer: from the frame while they travel with it, else asked. */

import type { Host } from "../shared/host/host";
import { createQuestion, isAbout } from "../shared/host/question";
import { tokenName } from "../shared/names";
import { type ChartData, type Numbers, tokenRows } from "./data";
import type { TokenLine } from "./readout";
import type { ChartState } from "./state";

export interface TokenLines {
  /** Null where the statistic has none, or they are on their way; words where they cannot come. */
  of(data: ChartData, position: number | null): TokenLine | string | null;
  /** A new frame: what was asked for the old one is void. */
  forget(): void;
}

export function createTokenLines(
  host: Host<ChartState>,
  signal: AbortSignal,
  onReply: () => void,
): TokenLines {
  let shown: ChartData["frame"]["key"] | null = null;
  const token = createQuestion(host, signal, {
    name: "token",
    read: ({ result, arrays }, _: { position: number }): Numbers | null =>
      isAbout(result.about, shown) ? (arrays.values?.values ?? []) : null,
    onReply,
  });
  return {
    of(data, position) {
      const { frame, layers } = data;
      shown = frame.key;
      if (position === null || !frame.has_tokens) return null;
      const name = tokenName(frame.token_labels, position);
      const known = data.token(position);
      if (known) return { position, name, rows: known };
      if (frame.tokens !== null) return null;
      const reply = token.reply({ position });
      if (!reply) token.ask({ position });
      else if ("failure" in reply) return reply.failure;
      else return { position, name, rows: tokenRows(reply.value, layers.length) };
      return null;
    },
    forget: token.forget,
  };
}
