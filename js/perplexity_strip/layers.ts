/** What each layer would predict where the pinned token stands: a row a layer, and the way of
 * chosen tokens through the layers. */

import { button, type Child, h } from "../shared/dom";
import type { Answer } from "../shared/host/host";
import { formatCount, percent } from "../shared/numbers";
import { quote, show } from "../shared/token_text";
import { type Colours, trajectoryChart } from "./trajectory";

export interface Named {
  id: number;
  text: string;
}

export interface LayersReading {
  /** The lens, in words: "tuned lens, fitted on 200 texts". */
  readBy: string;
  layers: readonly number[];
  true: Named;
  /** By layer, best first. */
  top: readonly (readonly Named[])[];
  topProbability: readonly number[];
  rank: readonly number[];
  probability: readonly number[];
  followed: readonly (Named & { probability: readonly number[]; rank: readonly number[] })[];
}

/** Reads the answer to the question "layer_readings". */
export function readLayers({ result, arrays }: Answer): LayersReading {
  const layers = result.layers as number[];
  const words = result.top as string[][];
  const k = words[0]?.length ?? 1;
  const values = (name: string): number[] => Array.from(arrays[name]?.values ?? []);
  const ids = values("top_ids");
  const followed = result.followed as Named[];
  const column = (name: string, i: number): number[] =>
    values(name).filter((_, at) => at % followed.length === i);
  return {
    readBy: result.read_by as string,
    layers,
    true: result.true as Named,
    top: words.map((row, i) => row.map((text, j) => ({ id: ids[i * k + j] ?? -1, text }))),
    topProbability: values("top_probability").filter((_, at) => at % k === 0),
    rank: values("rank"),
    probability: values("probability"),
    followed: followed.map((one, i) => ({
      ...one,
      probability: column("followed_probability", i),
      rank: column("followed_rank", i),
    })),
  };
}

export interface LayersRoom {
  width: number;
  measure: "probability" | "rank";
  colours: Colours;
  /** Null where other tokens cannot be asked for. */
  onFollow: ((ids: number[]) => void) | null;
}

export function layersNodes(reading: LayersReading, room: LayersRoom): Child[] {
  const narrow = room.width < 620;
  const chartWidth = narrow ? room.width : Math.max(260, room.width - 370);
  return [
    h(
      "div",
      { class: "gh-strip-table" },
      rows(reading, room),
      h("p", { class: "gh-caption gh-strip-read-by" }, `Read by the ${reading.readBy}.`),
    ),
    h(
      "div",
      { class: "gh-strip-trajectory" },
      trajectoryChart(reading, room.measure, room.colours, chartWidth),
      chips(reading, room),
    ),
  ];
}

function rows(reading: LayersReading, { onFollow }: LayersRoom): HTMLElement {
  const followed = reading.followed.map(({ id }) => id);
  const name = quote(reading.true.text, 10);
  const head = ["Layer", "First choice", "", `Rank of ${name}`, "Probability"];
  const row = (layer: number, i: number): HTMLElement => {
    const first = reading.top[i]?.[0] ?? reading.true;
    const isTrue = first.id === reading.true.id;
    const isFollowed = followed.includes(first.id);
    const text = h("bdi", { attrs: { dir: "auto" } }, show(first.text));
    const word = onFollow
      ? button(
          "gh-strip-word",
          () => {
            if (!isFollowed) onFollow([...followed, first.id]);
          },
          {
            aria: { label: `Follow ${quote(first.text)} through the layers`, pressed: isFollowed },
            data: { id: first.id },
          },
          text,
        )
      : h("span", { class: "gh-strip-word", data: { id: first.id } }, text);
    return h(
      "tr",
      { class: isTrue ? "is-true" : "", data: { layer } },
      h("th", { attrs: { scope: "row" } }, layer),
      h("td", {}, word),
      h("td", { class: "gh-strip-of-first" }, percent(reading.topProbability[i] ?? Number.NaN)),
      h("td", {}, formatCount(reading.rank[i] ?? Number.NaN)),
      h("td", {}, percent(reading.probability[i] ?? Number.NaN)),
    );
  };
  const heads = head.map((text) => (text ? h("th", { attrs: { scope: "col" } }, text) : h("td")));
  return h(
    "div",
    {
      class: "gh-strip-rows",
      attrs: { tabindex: 0, role: "region" },
      aria: { label: "What each layer would predict" },
    },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...heads)),
      h("tbody", {}, ...reading.layers.map(row)),
    ),
  );
}

/** The followed tokens with their colours; a click lets one go. */
function chips(
  { followed, true: came }: LayersReading,
  { onFollow, colours }: LayersRoom,
): HTMLElement {
  const ids = followed.map(({ id }) => id);
  const chip = (id: number, ...what: Child[]): HTMLElement =>
    onFollow
      ? button(
          "gh-strip-chip",
          () => onFollow(ids.filter((other) => other !== id)),
          { attrs: { title: "Follow it no more" }, data: { id } },
          ...what,
          h("span", { aria: { hidden: true }, data: { "in-picture": "no" } }, "×"),
        )
      : h("span", { class: "gh-strip-chip", data: { id } }, ...what);
  return h(
    "div",
    { class: "gh-strip-chips", attrs: { role: "group" }, aria: { label: "Followed tokens" } },
    ...followed.map(({ id, text }, i) =>
      chip(
        id,
        h("span", { class: "gh-strip-dash", style: { background: colours(i) } }),
        h("bdi", { attrs: { dir: "auto" } }, show(text)),
        id === came.id ? h("span", { class: "gh-caption" }, "true") : null,
      ),
    ),
  );
}
