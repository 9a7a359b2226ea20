/** The gallery page: every view in its named states, on recorded data. */

import { AttentionLinesView } from "../js/attention_lines/view";
import { FusedAttentionMatrixView } from "../js/fused_attention_matrix/view";
import { LayerStatsChartView } from "../js/layer_stats_chart/view";
import { PerplexityStripView } from "../js/perplexity_strip/view";
import { fill, h } from "../js/shared/dom";
import type { ThemeTrait } from "../js/shared/state";
import type { Host, View } from "../js/shared/view";
import { miniHost, type Recorded } from "./mini_host";

type Json = Record<string, unknown>;
type AnyView = new (el: HTMLElement, host: Host<never>) => View<never>;

const VIEWS: Record<string, { title: string; view: AnyView }> = {
  "attention-lines": { title: "Attention lines", view: AttentionLinesView },
  "fused-attention-matrix": { title: "Fused attention matrix", view: FusedAttentionMatrixView },
  "perplexity-strip": { title: "Perplexity strip", view: PerplexityStripView },
  "layer-stats-chart": { title: "Layer statistics", view: LayerStatsChartView },
};

const states = JSON.parse(document.getElementById("recorded")?.textContent ?? "[]") as Recorded[];
const main = h("main", {});
const nav = h("nav", { aria: { label: "States" } });
let shown = new AbortController();

/** Shows the states of the view in the address (`#perplexity-strip/hovered`). */
function showPage(): void {
  const [view = "", name] = location.hash.slice(1).split("/");
  const current = VIEWS[view] ? view : Object.keys(VIEWS)[0];
  if (main.dataset.view !== current) {
    shown.abort();
    shown = new AbortController();
    main.dataset.view = current;
    const chosen = states.filter((state) => state.view === current);
    fill(main, ...chosen.map((state) => section(state, shown.signal)));
  }
  for (const link of nav.querySelectorAll("a")) {
    link.classList.toggle("is-current", link.hash === `#${current}/${name}`);
  }
  if (name) document.getElementById(`${current}/${name}`)?.scrollIntoView();
}

function section(recorded: Recorded, signal: AbortSignal): HTMLElement {
  const place = h("div", { class: "place", style: { width: `${recorded.width}px` } });
  mount(recorded, place, signal);
  return h(
    "section",
    { class: "state", attrs: { id: `${recorded.view}/${recorded.name}` } },
    h("h2", {}, recorded.name.replaceAll("-", " "), h("small", {}, `${recorded.width} px`)),
    recorded.note && h("p", {}, recorded.note),
    place,
  );
}

function mount(recorded: Recorded, place: HTMLElement, signal: AbortSignal): void {
  const found = VIEWS[recorded.view];
  if (!found) return;
  let view: View<never> | null = null;
  const host = miniHost(recorded, (changed: Json) => view?.update(changed as never), signal);
  view = new found.view(place, host as unknown as Host<never>);
  signal.addEventListener("abort", () => view?.destroy());
}

function navigation(): Node[] {
  return Object.entries(VIEWS).flatMap(([name, { title }]) => {
    const items = states
      .filter((state) => state.view === name)
      .map((state) => {
        const href = `#${name}/${state.name}`;
        return h("li", {}, h("a", { attrs: { href } }, state.name.replaceAll("-", " ")));
      });
    return [h("h2", {}, h("a", { attrs: { href: `#${name}` } }, title)), h("ul", {}, ...items)];
  });
}

/** The views follow `data-theme` on <html>, as they follow any host that declares its theme. */
function themeSwitch(): HTMLElement {
  const themes: readonly ThemeTrait[] = ["light", "dark"];
  const buttons = themes.map((theme) =>
    h(
      "button",
      {
        attrs: { type: "button" },
        data: { theme },
        on: {
          click: () => {
            document.documentElement.dataset.theme = theme;
          },
        },
      },
      theme,
    ),
  );
  return h("div", { class: "themes" }, ...buttons);
}

fill(nav, h("h1", {}, "Glasshead gallery"), themeSwitch(), ...navigation());
document.body.append(nav, main);
window.addEventListener("hashchange", showPage);
showPage();
