/** The lines of a long text, asked for as its rows come into view. */

import type { NumberArray } from "../shared/arrays";
import type { Host } from "../shared/host/host";
import { createQuestion, isAbout } from "../shared/host/question";
import { isWhole, type Lines, type Rule, readChunk, type Shown, shownOf } from "./lines";
import { CHUNK_ARRAYS, type ChunkArray, type LinesState } from "./state";

export interface Chunks {
  /** Asks for what is missing of these rows. */
  need(lines: Lines, from: number, to: number): void;
  /** What a rule draws of the whole text; null until the kernel has said. */
  shown(lines: Lines, rule: Rule): Shown | null;
}

export function createChunks(
  host: Host<LinesState>,
  signal: AbortSignal,
  onArrival: (what: "lines" | "shown") => void,
): Chunks {
  let about: Lines | null = null;
  let wanted: number[] = [];
  const parts = createQuestion(host, signal, {
    name: "lines",
    read({ result, arrays }, _: { chunk: number }) {
      if (!about || !isAbout(result.key, about.frame.key)) return null;
      const values = {} as Record<ChunkArray, NumberArray>;
      for (const name of CHUNK_ARRAYS) values[name] = arrays[name]?.values ?? new Float32Array();
      const [number, first] = [Number(result.chunk), Number(result.first)];
      about.chunks.set(number, readChunk(values, first, about.nMaps, about.frame.per_row));
      return number;
    },
    onReply() {
      askNext();
      onArrival("lines");
    },
  });
  const wholes = createQuestion(host, signal, {
    name: "shown",
    read: ({ result }, _: { top_k: number; threshold: number }): Shown | null =>
      about && isAbout(result.key, about.frame.key)
        ? { n: Number(result.n), mass: Number(result.mass) }
        : null,
    onReply: () => onArrival("shown"),
  });
  // One at a time: a newer question takes the place of an older one.
  const askNext = (): void => {
    const next = wanted.find((chunk) => !about?.chunks.has(chunk) && !parts.reply({ chunk }));
    if (next !== undefined) parts.ask({ chunk: next });
  };
  const turnTo = (lines: Lines): void => {
    if (about === lines) return;
    about = lines;
    parts.forget();
    wholes.forget();
  };
  return {
    need(lines, from, to) {
      turnTo(lines);
      if (isWhole(lines)) return;
      const size = lines.frame.chunk_rows;
      const first = Math.floor(Math.max(0, from) / size);
      const last = Math.floor(Math.max(0, to - 1) / size);
      wanted = Array.from({ length: last - first + 1 }, (_, i) => first + i);
      askNext();
    },
    shown(lines, rule) {
      turnTo(lines);
      const known = shownOf(lines, rule);
      if (known) return known;
      const args = { top_k: rule.top_k ?? 0, threshold: rule.threshold ?? 0 };
      wholes.ask(args);
      return wholes.value(args) ?? null;
    },
  };
}
