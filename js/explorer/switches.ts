/** A switch for every head: the model runs without those that are off, and all panes show that run. */

import { segmented } from "../shared/controls";
import { button, disable, h, hide, mark, say, svg } from "../shared/dom";
import { type Host, isFixed, same, whyNoKernel } from "../shared/host/host";
import { handled } from "../shared/keys";
import type { UnderTile } from "../shared/map/heads";
import { roving } from "../shared/roving";
import { runName } from "./run_name";
import type { ExplorerState, OffHead, OffHow } from "./state";

export interface HeadSwitches {
  /** The switch of a head, for the place under its tile. */
  readonly under: UnderTile;
  /** How many are off, what stands in their place, and the way back. */
  readonly bar: HTMLElement;
  /** Takes the keys of the tiles. */
  listen(tiles: HTMLElement): void;
  update(state: Readonly<ExplorerState>): void;
}

interface Cell {
  tile: HTMLButtonElement;
  toggle: HTMLButtonElement;
}

const HOW = [
  { value: "zero", label: "Zero", title: "A head that is off puts out nothing" },
  {
    value: "mean",
    label: "Mean",
    title: "A head that is off puts out its mean over the text, the same at every token",
  },
] as const;

export function headSwitches(host: Host<ExplorerState>): HeadSwitches {
  const cells: Cell[] = [];
  let stops: ReturnType<typeof roving> | null = null;
  const words = h("span", { class: "gh-caption" });
  const how = segmented<OffHow>("In the place of a head that is off", "off-how", (off_how) =>
    host.set({ off_how }),
  );
  /** What was off last, of the same model: to and fro shows what they do. */
  let last: readonly OffHead[] = [];
  let model = "";
  const other = (): OffHead[] => (host.state.off.length ? [] : [...last]);
  const all = button("gh-button", () => host.set({ off: other() }), { data: { action: "all-on" } });
  const bar = h("div", { class: "ex-off" }, words, how.element, all);
  const updateBar = ({ off, off_how, scene }: Readonly<ExplorerState>): void => {
    if (off.length || scene.model !== model) [last, model] = [off, scene.model];
    hide(bar, off.length + last.length === 0);
    hide(words, off.length === 0);
    say(words, off.length ? counted(off.length) : "");
    const disabled = whyNot(host, off, off_how === "zero" ? "mean" : "zero") !== "";
    how.update({ choices: off.length ? HOW : [], value: off_how, disabled });
    say(all, off.length ? "All on" : `${counted(last.length)} again`);
    const reason = whyNot(host, other());
    disable(all, reason !== "");
    const does = off.length ? "Switch all heads on again" : "Switch off again what was off";
    mark(all, "title", reason || does);
  };
  const toggle = (head: number): void => {
    const off = toggled(host.state, head);
    if (!whyNot(host, off)) host.set({ off });
  };
  return {
    bar,
    under(head, tile) {
      const element = button(
        "ex-switch",
        () => toggle(head),
        { aria: { label: `Head ${head} off` }, data: { off: head } },
        powerSign(),
      );
      tile.append(strike());
      mark(tile, "aria-keyshortcuts", "O");
      // The tiles are made anew where there are other heads, from the first on.
      if (head === 0) cells.length = 0;
      cells[head] = { tile, toggle: element };
      return element;
    },
    listen(tiles) {
      const list = tiles.querySelector<HTMLElement>(".gh-heads");
      if (list) stops = roving(list, ".ex-switch");
      tiles.addEventListener("keydown", (event) => {
        const { target, key, repeat, ctrlKey, metaKey, altKey } = event;
        if (key.toLowerCase() !== "o" || repeat || ctrlKey || metaKey || altKey) return;
        const head =
          target instanceof HTMLElement ? (target.dataset.head ?? target.dataset.off) : undefined;
        if (head === undefined) return;
        handled(event);
        toggle(Number(head));
      });
    },
    update(state) {
      const { off, kind, layer } = state;
      // Arrays that somebody gave, or a page that has one run: there is nothing to switch.
      const none =
        state.scene.given === true || (off.length === 0 && host.can?.("without") === false);
      for (const [head, cell] of cells.entries()) {
        const isOff = off.some((one) => same(one, [kind, layer, head]));
        dress(cell, head, isOff, whyNot(host, toggled(state, head)));
        hide(cell.toggle, none);
      }
      stops?.refresh();
      updateBar(state);
    },
  };
}

function counted(n: number): string {
  return n === 1 ? "1 head off" : `${n} heads off`;
}

function dress({ tile, toggle }: Cell, head: number, isOff: boolean, reason: string): void {
  tile.classList.toggle("is-off", isOff);
  mark(tile, "aria-label", isOff ? `Head ${head}, off` : `Head ${head}`);
  mark(toggle, "aria-pressed", String(isOff));
  disable(toggle, reason !== "");
  const does = isOff ? `Switch head ${head} on again` : `Switch head ${head} off`;
  const key = isOff ? "O on its tile" : "the model runs without it; O on its tile does the same";
  mark(toggle, "title", reason ? `Head ${head}: ${reason}` : `${does} (${key})`);
}

/** What is off when a head of this layer has been switched. */
function toggled({ off, kind, layer, scene }: Readonly<ExplorerState>, head: number): OffHead[] {
  const it: OffHead = [kind, layer, head];
  const others = off.filter((one) => !same(one, it));
  if (others.length < off.length) return others;
  const place = (name: string): number => scene.kinds.findIndex((one) => one.name === name);
  return [...off, it].sort((a, b) => place(a[0]) - place(b[0]) || a[1] - b[1] || a[2] - b[2]);
}

/** Why nothing else can be switched off now than what is; "" = it can. */
function whyNot(host: Host<ExplorerState>, off: readonly OffHead[], how?: OffHow): string {
  const { state } = host;
  if (isFixed(host, "off")) return `${whyNoKernel(host)} The model cannot be run.`;
  const isLess = off.every((one) => state.off.some((other) => same(one, other)));
  if (!isLess) {
    const reason = state.fixed_heads[state.kind]?.[String(state.layer)];
    if (reason) return `it cannot be switched off: ${reason.replace(/\.$/, "")}.`;
  }
  const asked = runName(off, how ?? state.off_how);
  if (host.can?.(asked) === false)
    return "this page runs no model, and was saved without that run.";
  return "";
}

function powerSign(): SVGElement {
  return svg(
    "svg",
    { class: "ex-power", viewBox: "0 0 14 14", "aria-hidden": "true" },
    svg("path", { d: "M4.2 3.6a4.6 4.6 0 1 0 5.6 0M7 1.2v5.2" }),
    svg("path", { class: "ex-power-off", d: "M1.6 12.4 12.4 1.6" }),
  );
}

/** The line through a tile. */
function strike(): SVGElement {
  const line = svg("line", { x1: 0, y1: 100, x2: 100, y2: 0 });
  const attrs = { class: "ex-strike", viewBox: "0 0 100 100", preserveAspectRatio: "none" };
  return svg("svg", { ...attrs, "aria-hidden": "true" }, line);
}
