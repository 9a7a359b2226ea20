/** The grids of patched runs that a page carries, as `frames/patching.py` made them. */

import type { PatchFrame, PatchKey, PatchState } from "../patch_grid/state";
import { unpack } from "../shared/arrays";
import { same } from "../shared/host/host";
import type { Json } from "../shared/host/stand_in";

/** The state that a grid answers. */
export function patchKey(state: Json): PatchKey {
  const target = ["position", "token", "against", "quantity"];
  const names = ["what", "kind", ...target, "positions", "only_layers"];
  return Object.fromEntries(names.map((name) => [name, state[name]])) as unknown as PatchKey;
}

/** The grid that answers a state; undefined = the page does not have it. */
export function patchFrame(grids: readonly PatchFrame[], state: Json): PatchFrame | undefined {
  const key = patchKey(state);
  return grids.find((grid) => same(grid.key, key));
}

/** Whether a page has other grids of what is asked ("grid"), or that one ("grid:mlp:self"). */
export function hasGrid(grids: readonly PatchFrame[], question: string, state: Json): boolean {
  const [, what, kind] = question.split(":");
  if (what !== undefined) return patchFrame(grids, { ...state, what, kind }) !== undefined;
  return grids.some(({ key }) => {
    const other = { ...state, what: key.what, kind: key.kind };
    return !same(key, patchKey(state)) && same(key, patchKey(other));
  });
}

/** A cell of another grid is let go, as the kernel does: a head's number is no position. */
export function keepingCell(grids: readonly PatchFrame[], state: Json, before: Json): Json {
  const { cell, what } = state as unknown as PatchState;
  const grid = patchFrame(grids, state);
  if (!grid || cell.length === 0 || "cell" in before) return {};
  const isOther = "what" in before && (before.what === "head") !== (what === "head");
  const [layer = -1, place = -1] = cell;
  const isThere = unpack(grid.layers).includes(layer) && unpack(grid.places).includes(place);
  return isThere && !isOther ? {} : { cell: [] };
}
