/** The panel under the text: the pinned token's layers, or what it was drawn from. */

import { type Control, type SegmentedProps, segmented } from "../shared/controls";
import { type Child, fill, h, hide, watchSize } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { createQuestion, type Reply } from "../shared/host/question";
import { tokenName } from "../shared/names";
import { formatCount } from "../shared/numbers";
import { css, headColours } from "../shared/palette";
import type { Shell } from "../shared/shell";
import { slider } from "../shared/slider";
import type { Continuation } from "./continuation";
import type { StripData } from "./data";
import {
  type DistributionRoom,
  distributionChart,
  distributionWords,
  readDistribution,
  wordRows,
} from "./distribution";
import { layersNodes, readLayers } from "./layers";
import type { Reading, StripState } from "./state";

export interface Readings {
  /** The choice of what is read; stands in the header. */
  readonly choice: HTMLElement;
  readonly panel: HTMLElement;
  /** Brings all in line with the state. */
  update(data: StripData): void;
  /** A new frame, maybe of another text: what was asked is void. */
  forget(): void;
}

const CHOICES: readonly { value: Reading; label: string; title: string }[] = [
  { value: "", label: "Text", title: "The text alone" },
  { value: "layers", label: "Layers", title: "What each layer would predict at the pinned token" },
  {
    value: "distribution",
    label: "Distribution",
    title: "What the pinned token was drawn from, and what sampling would keep",
  },
];
const QUESTIONS = { layers: "layer_readings", distribution: "distribution" } as const;
const NO_MODEL = "This page has no model to run: in a notebook it can be asked.";
/** What the slider for top-k steps through; 0 = all. */
const KS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 0] as const;

export function createReadings(
  host: Host<StripState>,
  shell: Shell,
  continuation: Continuation,
): Readings {
  const { signal } = shell;
  let data: StripData | null = null;
  const redraw = (): void => {
    if (data) draw(data);
  };
  const layers = createQuestion(host, signal, {
    name: QUESTIONS.layers,
    read: (answer, _: { position: number; followed: string; lens: string }) => readLayers(answer),
    onReply: redraw,
    most: 16,
  });
  const distribution = createQuestion(host, signal, {
    name: QUESTIONS.distribution,
    read: (
      answer,
      _: { position: number; temperature: number; sample_k: number; sample_p: number },
    ) => readDistribution(answer),
    onReply: redraw,
    most: 64,
  });
  const choice = segmented<Reading>("Read the pinned token closely", "reading", (reading) =>
    host.set({ reading }),
  );
  const sampling = samplingControls(host);
  const trajectory = segmented<StripState["trajectory"]>("Drawn by layer", "trajectory", (drawn) =>
    host.set({ trajectory: drawn }),
  );
  const lens = segmented<string>("Lens that reads the layers", "reading-lens", (reading_lens) =>
    host.set({ reading_lens }),
  );
  const heading = h("h3", { class: "gh-strip-reading-title" });
  const tools = h("div", { class: "gh-strip-reading-tools" }, lens.element, trajectory.element);
  const content = h("div", { class: "gh-strip-reading-content" });
  const panel = h(
    "section",
    { class: "gh-strip-reading", aria: { label: "The pinned token, read closely" } },
    h("div", { class: "gh-strip-reading-head" }, heading, tools),
    sampling.element,
    content,
  );
  let width = 0;
  watchSize(
    panel,
    () => {
      if (panel.clientWidth !== width) redraw();
    },
    signal,
  );

  /** What is drawn of a reply: what it says, or why there is nothing (yet). */
  function shown<T>(reply: Reply<T> | undefined, nodes: (value: T) => Child[]): void {
    if (reply && "value" in reply) {
      fill(content, ...nodes(reply.value));
      content.removeAttribute("aria-busy");
    } else if (reply) fill(content, h("p", { class: "gh-strip-words" }, reply.failure));
    // While sliders move the last picture stays.
    else if (content.querySelector("svg") && content.dataset.of === of()) {
      content.setAttribute("aria-busy", "true");
    } else fill(content, h("p", { class: "gh-caption" }, "Asking the kernel …"));
    content.dataset.of = of();
  }

  const of = (): string => `${host.state.reading}:${host.state.selected.at(-1)}`;

  function drawLayers(position: number): void {
    const { followed, trajectory: measure, reading_lens } = host.state;
    const args = { position, followed: followed.join(), lens: reading_lens };
    layers.ask(args);
    const { theme } = shell;
    const colours = (i: number): string =>
      css(
        headColours(
          Array.from({ length: i + 1 }, (_, n) => n),
          theme,
        )[i] ?? [0, 0, 0],
      );
    // A page has the tokens that were followed when it was saved.
    const onFollow =
      host.can?.("follow") === false ? null : (ids: number[]): void => host.set({ followed: ids });
    shown(layers.reply(args), (value) => layersNodes(value, { width, measure, colours, onFollow }));
  }

  function drawDistribution(position: number): void {
    const { temperature, sample_k, sample_p, by_id: byId } = host.state;
    const args = { position, temperature, sample_k, sample_p };
    distribution.ask(args);
    const wide = width < 620 ? width : Math.max(260, width - 284);
    const room: DistributionRoom = { width: wide, byId, temperature };
    const canContinue = continuation.can();
    shown(distribution.reply(args), (value) => [
      h("div", {}, distributionChart(value, room), ...distributionWords(value)),
      wordRows(value, canContinue ? (id) => continuation.from(position, id) : null),
    ]);
  }

  function draw(current: StripData): void {
    const { state } = host;
    const { reading, selected } = state;
    const { frame, values } = current;
    const scored = frame.n_scored > 0;
    const able = (name: keyof typeof QUESTIONS): boolean => host.can?.(QUESTIONS[name]) !== false;
    choice.update({ choices: scored ? CHOICES : [], value: reading });
    hide(panel, !reading || !scored);
    if (!reading || !scored) return;
    width = panel.clientWidth || 640;
    const position = selected.at(-1);
    const known = position !== undefined && !Number.isNaN(values.surprisal[position] ?? Number.NaN);
    const name = position === undefined ? "" : tokenName(frame.texts, position);
    fill(heading, headingWords(reading, position, name));
    const asks = able(reading) && known;
    hide(sampling.element, reading !== "distribution" || !asks);
    trajectory.update(measureChoice(reading === "layers" && asks, state.trajectory));
    lens.update(lensChoice(reading === "layers" && asks, state));
    sampling.update(state);
    if (!able(reading)) fill(content, h("p", { class: "gh-strip-words" }, NO_MODEL));
    else if (position === undefined) {
      fill(
        content,
        h("p", { class: "gh-caption" }, "Pin a token of the text: click it, or press Enter on it."),
      );
    } else if (!known) {
      fill(
        content,
        h("p", { class: "gh-strip-words" }, frame.undefined || "The model has no value here."),
      );
    } else if (reading === "layers") drawLayers(position);
    else drawDistribution(position);
  }

  return {
    choice: choice.element,
    panel,
    update(now) {
      data = now;
      draw(now);
    },
    forget() {
      layers.forget();
      distribution.forget();
    },
  };
}

function headingWords(reading: Reading, position: number | undefined, name: string): string {
  const what = reading === "layers" ? "What each layer would predict" : "What could have stood";
  return position === undefined ? what : `${what} at token ${position}, ${name}`;
}

function measureChoice(
  on: boolean,
  value: StripState["trajectory"],
): SegmentedProps<StripState["trajectory"]> {
  const choices = [
    { value: "probability", label: "Probability" },
    { value: "rank", label: "Rank" },
  ] as const;
  return { choices: on ? choices : [], value };
}

/** The logit lens and the fitted ones; nothing where there are none. */
function lensChoice(on: boolean, { lenses, reading_lens }: StripState): SegmentedProps<string> {
  if (!on || !lenses.length) return { choices: [], value: "" };
  const titled = (name: string): string => `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const fitted = lenses.map(({ name, label }) => ({
    value: name,
    label: titled(name),
    title: titled(label),
  }));
  const plain = {
    value: "",
    label: "Logit lens",
    title: "Each layer read as if it were the last one",
  };
  return { choices: [plain, ...fitted], value: reading_lens };
}

/** Temperature and cuts, and how the vocabulary is laid out. */
function samplingControls(host: Host<StripState>): Control<StripState> {
  const temperature = slider(
    "Temperature",
    "temperature",
    { min: 0.1, max: 2, step: 0.1 },
    (value) => host.set({ temperature: value }),
  );
  const k = slider("Top k", "sample-k", { min: 0, max: KS.length - 1, step: 1 }, (at) =>
    host.set({ sample_k: KS[at] ?? 0 }),
  );
  const p = slider("Top p", "sample-p", { min: 0.05, max: 1, step: 0.05 }, (value) =>
    host.set({ sample_p: value }),
  );
  const order = segmented<"rank" | "id">("Order of the tokens", "by-id", (value) =>
    host.set({ by_id: value === "id" }),
  );
  const element = h(
    "div",
    { class: "gh-strip-sampling" },
    temperature.element,
    k.element,
    p.element,
    order.element,
  );
  return {
    element,
    update({ temperature: t, sample_k, sample_p, by_id }) {
      temperature.update({ value: t, text: t.toFixed(2).replace(/0$/, "") });
      const at = sample_k === 0 ? KS.length - 1 : KS.findIndex((one) => one >= sample_k);
      const text = sample_k ? formatCount(sample_k) : "all";
      k.update({ value: at < 0 ? KS.length - 2 : at, text });
      p.update({ value: sample_p, text: sample_p < 1 ? sample_p.toFixed(2) : "all" });
      const choices = [
        { value: "rank", label: "Sorted" },
        { value: "id", label: "By id" },
      ] as const;
      order.update({ choices, value: by_id ? "id" : "rank" });
    },
  };
}
