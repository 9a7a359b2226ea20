/** A saved page of an atlas: it carries rows of its heads in many texts. */

import { finderData, shownHeads } from "../head_finder/data";
import { type FinderState, hasTypical, type Typical } from "../head_finder/state";
import { same } from "../shared/host/host";
import type { Json } from "../shared/host/stand_in";
import { hasFrame } from "../shared/state";
import type { Contents } from "./contents";
import { type Role, SavedPage } from "./instead";
import type { stored } from "./stored";

export class WithRows extends SavedPage {
  readonly #rows: readonly Typical[];

  constructor(contents: Contents, role: Role, load: typeof stored) {
    super(contents, role, load);
    this.#rows = contents.rows;
  }

  override async pictures(state: Json): Promise<Json> {
    const drawn = await super.pictures(state);
    return { ...drawn, ...this.#typical({ ...state, ...drawn } as unknown as FinderState) };
  }

  /** Rows of the head that is selected, or of the one that has most of the metric. */
  #typical(state: FinderState): Json {
    if (!this.#rows.length) return {};
    const { kind, layer, heads, metric, frame, typical } = state;
    const [head] = heads;
    const best = (): Pick<Typical["key"], "layer" | "head"> | undefined =>
      hasFrame(frame) ? shownHeads(finderData(frame), { ...state, sort: "highest" })[0] : undefined;
    const place = head === undefined ? best() : { layer, head };
    const key = { kind, metric, layer: place?.layer, head: place?.head };
    if (hasTypical(typical) && same(typical.key, key)) return {};
    return { typical: this.#rows.find((one) => same(one.key, key)) ?? {} };
  }
}
