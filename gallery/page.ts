/** The gallery page: every view in its named states, on recorded data. */

import * as registry from "../js/registry";
import { fill, h } from "../js/shared/dom";
import { type Model, mount } from "../js/shared/host/anywidget";
import { type Recording, recordedModel } from "../js/shared/host/recorded";
import type { CommonState, ThemeTrait } from "../js/shared/state";
import type { ViewClass } from "../js/shared/view";

/** One state of the gallery, as `record.py` writes it. */
interface State extends Recording {
  name: string;
  /** The id of its view. */
  view: string;
  width: number;
  /** What the host says about the kernel. */
  status: "ready" | "no kernel";
  /** What to look for. */
  note: string;
}

const VIEWS = new Map(
  Object.values(registry).map((view) => [view.id, view as unknown as ViewClass<CommonState>]),
);
const NOT_RECORDED =
  "This page has no kernel, and this was not recorded. " +
  "The first state of each view has all layers, heads and units.";

const states = JSON.parse(document.getElementById("recorded")?.textContent ?? "[]") as State[];
const main = h("main", {});
const nav = h("nav", { aria: { label: "States" } });
let shown = new AbortController();

/** Shows the states of the view in the address (`#perplexity-strip/hovered`). */
function showPage(): void {
  const [view = "", name] = location.hash.slice(1).split("/");
  const current = VIEWS.has(view) ? view : states[0]?.view;
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

function section(state: State, signal: AbortSignal): HTMLElement {
  const place = h("div", { class: "place", style: { width: `${state.width}px` } });
  const view = VIEWS.get(state.view);
  if (view) mount(view, modelOf(state), place, signal);
  return h(
    "section",
    { class: "state", attrs: { id: `${state.view}/${state.name}` } },
    h("h2", {}, state.name.replaceAll("-", " "), h("small", {}, `${state.width} px`)),
    state.note && h("p", {}, state.note),
    place,
  );
}

function modelOf(state: State): Model {
  const model = recordedModel(state, NOT_RECORDED);
  if (state.status === "ready") return model;
  const send = (): never => {
    throw new Error("There is no kernel.");
  };
  return { ...model, send };
}

function navigation(): Node[] {
  return [...VIEWS].flatMap(([name, { title }]) => {
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
