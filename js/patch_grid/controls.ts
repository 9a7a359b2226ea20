/** The header of PatchGrid. */

import { type Choice, kindChoices, segmented } from "../shared/controls";
import { type Host, isFixed } from "../shared/host/host";
import { type Zooming, zoomButtons } from "../shared/map/zoom";
import type { Shell } from "../shared/shell";
import { hasFrame, type Kind } from "../shared/state";
import type { PatchState, What } from "./state";
import { WHATS } from "./words";

export interface Header {
  /** Belongs above the grid. */
  readonly zoom: HTMLElement;
  update(state: Readonly<PatchState>): void;
  setZoomed(zoomed: boolean): void;
}

export function createHeader(shell: Shell, host: Host<PatchState>, zooming: Zooming): Header {
  const what = segmented<What>("What is patched", "what", (value) => host.set({ what: value }));
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const zoom = zoomButtons("grid", zooming);
  shell.controls.append(what.element, kind.element);
  return {
    zoom: zoom.element,
    setZoomed: zoom.setZoomed,
    update(state) {
      // A saved page has the grids that had been computed, and may have this one only.
      const alone = host.can?.("grid") === false;
      const off = (name: keyof PatchState & string): boolean => alone || isFixed(host, name);
      what.update({ choices: whatChoices(host), value: state.what, disabled: off("what") });
      const kinds = kindChoices(state.scene).filter(({ value }) =>
        isThere(host, state.what, value),
      );
      kind.update({ choices: kinds, value: state.kind, disabled: off("kind") });
    },
  };
}

/** Whether there is a grid of this, or somebody who can make it. */
function isThere({ state, can }: Host<PatchState>, what: What, kind: Kind): boolean {
  return (what === state.what && kind === state.kind) || can?.(`grid:${what}:${kind}`) !== false;
}

/** What can be patched; what cannot be here is left out. */
function whatChoices(host: Host<PatchState>): Choice<What>[] {
  const { frame, what, kind } = host.state;
  const names = hasFrame(frame)
    ? frame.whats.filter(({ reason }) => reason === "").map(({ name }) => name)
    : [];
  const offered = names.filter((name) => isThere(host, name, kind));
  return (offered.length ? offered : [what]).map((value) => ({ value, ...WHATS[value] }));
}
