/** Where a head is most itself: its rows in many texts by bucket of a metric, and some of them. */

import { button, type Child, fill, h } from "../shared/dom";
import { formatCount, formatWeight, percent } from "../shared/numbers";
import { gradientCss, tableColour } from "../shared/palette";
import { roving } from "../shared/roving";
import { paintToken, tokenNodes } from "../shared/text";
import { quote, showPlain } from "../shared/token_text";
import type { Metric } from "./data";
import type { Bucket, TypicalData, TypicalRow } from "./typical_rows";
import { headName, written } from "./words";

export interface TypicalProps {
  readonly data: TypicalData | null;
  readonly metric: Metric | null;
  /** What weights look like. */
  readonly table: Uint8ClampedArray;
  /** Why it is this head, where nobody has picked it; or why there are no rows. */
  readonly why: string;
}

export interface TypicalPanel {
  readonly element: HTMLElement;
  update(props: TypicalProps): void;
}

/** Weights from which on a token is coloured, what is outside said, and a token named. */
const [SEEN, SAID, NAMED] = [0.005, 0.01, 0.05];
const MOST_NAMED = 3;

export function typicalPanel(): TypicalPanel {
  const title = h("h3", { class: "hf-typical-title" });
  const why = h("span", { class: "hf-card-why" });
  const scale = h("span", { class: "gh-scale hf-typical-scale" });
  const bars = h("div", { class: "hf-buckets", attrs: { role: "toolbar" } });
  const caption = h("div", { class: "hf-buckets-name" });
  const rows = h("div", { class: "hf-rows", attrs: { tabindex: 0, role: "group" } });
  const element = h(
    "section",
    { class: "hf-typical", aria: { label: "Typical rows" } },
    h("div", { class: "hf-typical-heading" }, title, why, scale),
    h(
      "div",
      { class: "hf-typical-body" },
      h("div", { class: "hf-histogram" }, caption, bars),
      rows,
    ),
  );
  const stops = roving(bars);
  /** The bucket whose rows are shown alone; null = all. */
  let only: number | null = null;
  let shown: TypicalProps | null = null;

  const draw = (): void => {
    const { data, metric, table } = shown ?? {};
    if (!data || !metric || !table) return;
    const most = Math.max(1, ...data.buckets.map(({ count }) => count));
    const pressed = data.buckets.some(({ number }) => number === only) ? only : null;
    const bar = (bucket: Bucket): HTMLElement =>
      bucketBar(bucket, metric, data.total, most, bucket.number === pressed, () => {
        only = bucket.number === pressed ? null : bucket.number;
        draw();
        bars.querySelector<HTMLElement>(`[data-bucket="${bucket.number}"]`)?.focus();
      });
    fill(bars, ...data.buckets.map(bar));
    stops.refresh();
    const wanted = data.buckets.filter(({ number }) => pressed === null || number === pressed);
    const looks = { table, spaced: data.spaced };
    fill(rows, ...wanted.flatMap((bucket) => bucketRows(bucket, metric, looks)));
    rows.scrollTop = 0;
  };
  return {
    element,
    update(props) {
      const { data, metric, table } = props;
      const same = shown && shown.data === data && shown.table === table;
      const named = shown?.data?.key.metric === data?.key.metric;
      shown = props;
      why.textContent = props.why;
      element.classList.toggle("is-empty", !data || !metric);
      if (!data || !metric) {
        title.textContent = "Typical rows";
        return;
      }
      if (same) return;
      if (!named) only = null;
      title.textContent = `${formatCount(data.total)} rows of ${headName(data.key)}`;
      const { layer, head } = data.key;
      caption.textContent = `${metric.label} of ${layer}·${head}`;
      element.dataset.head = `${data.key.layer}:${data.key.head}`;
      bars.setAttribute("aria-label", `${metric.label}, ${formatCount(data.total)} rows by bucket`);
      rows.setAttribute("aria-label", `Rows of ${headName(data.key)}, the highest first`);
      fill(scale, ...scaleNodes(table));
      draw();
    },
  };
}

function scaleNodes(table: Uint8ClampedArray): Child[] {
  const ramp = h("span", { class: "gh-ramp hf-ramp", style: { background: gradientCss(table) } });
  return [
    h("span", { class: "hf-query" }, "looks"),
    h("span", {}, "at weight 0"),
    ramp,
    h("span", {}, "1, by square root"),
  ];
}

/** "0.90–1", "5.0 and more". */
function between({ from, to }: Bucket, metric: Metric): string {
  const low = edge(from, metric);
  return Number.isFinite(to) ? `${low}–${edge(to, metric)}` : `≥ ${low}`;
}

function edge(value: number, metric: Metric): string {
  const text = metric.unit.startsWith("weight") ? value.toFixed(2) : value.toPrecision(3);
  return String(Number(text)).replace("-", "−");
}

function bucketBar(
  bucket: Bucket,
  metric: Metric,
  total: number,
  most: number,
  pressed: boolean,
  click: () => void,
): HTMLElement {
  const name = between(bucket, metric);
  const width = `${(100 * bucket.count) / most}%`;
  const words = `${name}: ${formatCount(bucket.count)} rows, ${percent(bucket.count / (total || 1))}`;
  return button(
    "hf-bucket",
    click,
    {
      attrs: { title: words },
      aria: { pressed },
      data: { bucket: bucket.number, "in-picture": "yes" },
    },
    h("span", { class: "hf-bucket-name" }, name),
    " ",
    h(
      "span",
      { class: "hf-bucket-bar" },
      bucket.count > 0 && h("i", { class: "hf-count-bar", style: { width } }),
      h("span", { class: "hf-bucket-count" }, formatCount(bucket.count)),
    ),
  );
}

/** How tokens are written. */
interface Looks {
  readonly table: Uint8ClampedArray;
  readonly spaced: boolean;
}

function bucketRows(bucket: Bucket, metric: Metric, looks: Looks): HTMLElement[] {
  if (!bucket.rows.length) return [];
  const heading = `${metric.label} ${between(bucket, metric)}`;
  return [
    h("h4", { class: "hf-rows-name" }, heading),
    h("ul", {}, ...bucket.rows.map((row) => rowNode(row, metric, looks))),
  ];
}

function rowNode(row: TypicalRow, metric: Metric, looks: Looks): HTMLElement {
  const line = h("p", { class: "hf-row-text gh-text", attrs: { dir: "auto" } });
  if (!row.tokens.some((token) => token.query)) {
    line.append(h("span", { class: "gh-token hf-query" }, ...tokenNodes(row.looks.trim())), " → ");
  }
  if (row.start > 0) line.append(h("span", { class: "hf-cut" }, "…"), looks.spaced ? "" : " ");
  for (const [i, { text, weight, query }] of row.tokens.entries()) {
    const spaced = /^ \S/.test(text);
    const token = h(
      "span",
      { class: query ? "gh-token hf-query" : "gh-token" },
      ...tokenNodes(spaced ? text.slice(1) : text),
    );
    if (weight >= SEEN) {
      paintToken(token, tableColour(looks.table, Math.sqrt(weight)));
      token.title = `${showPlain(text)}: ${formatWeight(weight)}`;
    }
    line.append(spaced || (!looks.spaced && i > 0) ? " " : "", token);
  }
  const outside = row.outside >= SAID ? `${percent(row.outside)} outside` : "";
  return h(
    "li",
    { class: "hf-row" },
    line,
    h(
      "div",
      { class: "hf-row-numbers" },
      h("span", { class: "hf-row-value" }, written(metric, row.value)),
      h("span", { class: "hf-row-place" }, `text ${formatCount(row.text)}`),
      outside && h("span", { class: "hf-row-place" }, outside),
    ),
    h("span", { class: "hf-row-words" }, rowWords(row)),
  );
}

/** What a row looks at, for those who do not see the colours. */
function rowWords({ looks: query, tokens, outside }: TypicalRow): string {
  const seen = tokens.filter(({ weight }) => weight >= NAMED);
  const first = seen.sort((a, b) => b.weight - a.weight).slice(0, MOST_NAMED);
  const named = first.map(({ text, weight }) => `${quote(text)} ${formatWeight(weight)}`);
  const rest = outside >= NAMED ? [`tokens outside ${formatWeight(outside)}`] : [];
  const looks = [...named, ...rest].join(", ") || "no token much";
  return `${quote(query)} looks most at ${looks}.`;
}
