/** What could have stood where the pinned token stands, and what sampling would keep of it. */

import { button, type Child, h, svg } from "../shared/dom";
import type { Answer } from "../shared/host/host";
import { formatCount, percent } from "../shared/numbers";
import { roving } from "../shared/roving";
import { quote, show } from "../shared/token_text";
import { type Axis, axes, boxOf, chart, HEIGHT, logAxis, pathThrough } from "./log_chart";

type Numbers = readonly number[];

export interface DistributionReading {
  true: { id: number; text: string; rank: number; probability: number; kept: boolean } | null;
  nVocabulary: number;
  nKept: number;
  keptMass: number;
  /** Nats. */
  entropy: number;
  masses: readonly (readonly [number, number])[];
  /** The first choices, exactly. */
  tokens: readonly { id: number; text: string; probability: number; kept: boolean }[];
  curve: { rank: Numbers; probability: Numbers; plain: Numbers };
  byId: { largest: Numbers; kept: Numbers; perBin: number };
}

/** Reads the answer to the question "distribution". */
export function readDistribution({ result, arrays }: Answer): DistributionReading {
  const values = (name: string): number[] => Array.from(arrays[name]?.values ?? []);
  const [ids, probability, kept] = [values("ids"), values("probability"), values("kept")];
  return {
    true: result.true as DistributionReading["true"],
    nVocabulary: Number(result.n_vocabulary),
    nKept: Number(result.n_kept),
    keptMass: Number(result.kept_mass),
    entropy: Number(result.entropy),
    masses: result.masses as [number, number][],
    tokens: (result.tokens as string[]).map((text, i) => ({
      id: ids[i] ?? -1,
      text,
      probability: probability[i] ?? Number.NaN,
      kept: kept[i] === 1,
    })),
    curve: {
      rank: values("curve_rank"),
      probability: values("curve"),
      plain: values("plain"),
    },
    byId: {
      largest: values("by_id"),
      kept: values("kept_by_id"),
      perBin: Number(result.per_bin),
    },
  };
}

/** Below this a probability is drawn at the end of the axis. */
const LEAST = 1e-12;

export interface DistributionRoom {
  width: number;
  byId: boolean;
  temperature: number;
}

export function distributionChart(
  reading: DistributionReading,
  { width, byId, temperature }: DistributionRoom,
): SVGElement {
  const box = boxOf(width);
  const { curve, byId: bins } = reading;
  const values = (byId ? bins.largest : curve.probability).filter((value) => value > 0);
  const low = Math.max(
    LEAST,
    Math.min(
      1e-3,
      values.reduce((a, b) => Math.min(a, b), 1),
    ),
  );
  const y = logAxis([low, 1], [box.bottom, box.top], 6);
  const label = `${keptWords(reading)}. ${massWords(reading)}`;
  const names = { x: byId ? "token id" : "rank", y: byId ? "largest probability" : "probability" };
  if (byId) {
    const x = idAxis(reading.nVocabulary, box);
    return chart(width, label, ...axes(box, x, y, names), ...idBars(reading, x, y, box.bottom));
  }
  const x = logAxis([1, reading.nVocabulary], [box.left + 4, box.right - 4], 6);
  const points = curve.rank.map(
    (rank, i) => [x.at(rank), y.at(curve.probability[i] ?? 0)] as const,
  );
  const plain = curve.rank.map((rank, i) => [x.at(rank), y.at(curve.plain[i] ?? 0)] as const);
  const cut = x.at(reading.nKept);
  const within = points.filter(([at]) => at <= cut);
  const end = within.at(-1)?.[1] ?? box.bottom;
  const area = `${pathThrough(within)}L${cut} ${end}L${cut} ${box.bottom}L${x.at(1)} ${box.bottom}Z`;
  return chart(
    width,
    label,
    ...axes(box, x, y, names),
    svg("path", { class: "gh-strip-kept", d: area }),
    ...(temperature === 1 ? [] : [svg("path", { class: "gh-strip-plain", d: pathThrough(plain) })]),
    svg("path", { class: "gh-strip-line is-ink", d: pathThrough(points) }),
    ...cutMark(reading, cut, box),
    ...trueMark(reading, x, y, box),
  );
}

function cutMark(
  { nKept, nVocabulary }: DistributionReading,
  at: number,
  box: { left: number; right: number; top: number; bottom: number },
): SVGElement[] {
  if (nKept >= nVocabulary) return [];
  const right = at < (box.left + box.right) / 2;
  return [
    svg("line", { class: "gh-strip-cut", x1: at, x2: at, y1: box.top, y2: box.bottom }),
    svg(
      "text",
      {
        class: "gh-strip-mark",
        x: at + (right ? 5 : -5),
        y: box.bottom - 6,
        "text-anchor": right ? "start" : "end",
      },
      `kept: ${formatCount(nKept)}`,
    ),
  ];
}

function trueMark(
  { true: came }: DistributionReading,
  x: Axis,
  y: Axis,
  box: { left: number; right: number },
): SVGElement[] {
  if (!came) return [];
  const [cx, cy] = [x.at(came.rank), y.at(came.probability)];
  const right = cx < (box.left + box.right) / 2;
  const text = `${quote(came.text, 14)} came`;
  return [
    svg("circle", { class: "gh-strip-came", cx, cy, r: 4 }),
    svg(
      "text",
      {
        class: "gh-strip-mark is-came",
        x: cx + (right ? 8 : -8),
        y: Math.max(30, Math.min(HEIGHT - 42, cy - 6)),
        "text-anchor": right ? "start" : "end",
      },
      text,
    ),
  ];
}

function idAxis(n: number, box: { left: number; right: number }): Axis {
  const at = (id: number): number => box.left + (id / n) * (box.right - box.left);
  const step = [1, 2, 5].flatMap((digit) => [2, 3, 4, 5, 6].map((power) => digit * 10 ** power));
  const wide = step.sort((a, b) => a - b).find((size) => n / size <= 6) ?? n;
  const ticks = Array.from({ length: Math.floor(n / wide) + 1 }, (_, i) => ({
    value: i * wide,
    label: formatCount(i * wide),
  }));
  return { at, ticks: ticks.filter(({ value }) => at(value) < box.right - 12) };
}

function idBars({ byId, true: came }: DistributionReading, x: Axis, y: Axis, bottom: number) {
  const width = Math.max(0.75, x.at(byId.perBin) - x.at(0) - 0.25);
  const bars = byId.largest.map((largest, i) => {
    const top = y.at(largest);
    const name = byId.kept[i] ? "gh-strip-bin is-kept" : "gh-strip-bin";
    const size = { width, height: Math.max(0, bottom - top) };
    return svg("rect", { class: name, x: x.at(i * byId.perBin), y: top, ...size });
  });
  if (!came) return bars;
  const mark = { class: "gh-strip-came", cx: x.at(came.id), cy: y.at(came.probability), r: 4 };
  return [...bars, svg("circle", mark)];
}

/** "Sampling keeps 9 of 49,152 tokens, 89.2 % of the probability". */
export function keptWords({ nKept, nVocabulary, keptMass }: DistributionReading): string {
  if (nKept >= nVocabulary) return `Sampling draws from all ${formatCount(nVocabulary)} tokens`;
  const tokens = nKept === 1 ? "1 token" : `${formatCount(nKept)} tokens`;
  return `Sampling keeps ${tokens} of ${formatCount(nVocabulary)}: ${percent(keptMass)} of the probability`;
}

export function massWords({ masses }: DistributionReading): string {
  const parts = masses.map(([k, mass]) => `${formatCount(k)}: ${percent(mass)}`);
  return `The first ${parts.join(" · ")}`;
}

/** The first choices, those struck out that sampling cuts off; a click goes on from one. */
export function wordRows(
  reading: DistributionReading,
  onContinue: ((id: number) => void) | null,
): HTMLElement {
  const row = (one: DistributionReading["tokens"][number], i: number): HTMLElement => {
    const isTrue = one.id === reading.true?.id;
    const text = h("bdi", { class: "gh-strip-bar-text", attrs: { dir: "auto" } }, show(one.text));
    const classes = ["gh-strip-choice", isTrue ? "is-true" : "", one.kept ? "" : "is-cut"];
    return h(
      "li",
      { class: classes.filter(Boolean).join(" "), data: { id: one.id } },
      h("span", { class: "gh-strip-bar-rank" }, i + 1),
      onContinue ? continuing(one, text, onContinue) : text,
      h("span", { class: "gh-strip-bar-value" }, percent(one.probability)),
    );
  };
  const list = h(
    "ol",
    { class: "gh-strip-choices", aria: { label: "The most probable tokens here" } },
    ...reading.tokens.map(row),
  );
  if (onContinue) roving(list).refresh();
  else list.tabIndex = 0; // it scrolls
  const words = onContinue && h("p", { class: "gh-caption" }, "Click a word: the model goes on.");
  return h("div", {}, words, list);
}

function continuing(
  { id, text }: { id: number; text: string },
  word: HTMLElement,
  onContinue: (id: number) => void,
): HTMLElement {
  return button(
    "gh-strip-word",
    () => onContinue(id),
    {
      attrs: { title: "Put it here, and let the model go on" },
      aria: { label: `Go on from ${quote(text)}` },
      data: { action: "continue", id },
    },
    word,
  );
}

export function distributionWords(reading: DistributionReading): Child[] {
  const bits = (reading.entropy / Math.LN2).toFixed(2);
  return [
    h("p", { class: "gh-strip-said" }, h("strong", {}, keptWords(reading)), "."),
    h("p", { class: "gh-strip-said" }, `${massWords(reading)}. Entropy ${bits} bits.`),
  ];
}
