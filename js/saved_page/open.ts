/** Opens a saved page: the same view as in a notebook, on what the page carries. */

import { activationsAreRounded } from "../activation_map/numbers";
import { type Model, mount } from "../shared/host/anywidget";
import { type InsteadOfKernel, standIn } from "../shared/host/stand_in";
import { weightsAreKnownWithin } from "../shared/numbers";
import type { ViewState } from "../shared/state";
import type { ViewClass } from "../shared/view";
import { type Contents, readContents } from "./contents";
import { type Role, SavedPage } from "./instead";
import { stored } from "./stored";

const ROLES: Readonly<Record<string, Role>> = {
  "attention-lines": "lines",
  "fused-attention-matrix": "matrix",
  "perplexity-strip": "strip",
  "layer-stats-chart": "chart",
  "head-finder": "finder",
  "activation-map": "activations",
  "query-key-view": "query_key",
  "patch-grid": "patches",
  "attribution-strip": "attribution",
  explorer: "explorer",
};

/** The place of the view, with its model: a story or a test reads and sets traits by it. */
export type Place = HTMLElement & { glasshead?: Model };

/** Makes what the page has instead of a kernel; an explorer's page may carry several runs. */
type MakeInstead = (contents: Contents, role: Role, load: typeof stored) => InsteadOfKernel;

const oneRun: MakeInstead = (...of) => new SavedPage(...of);

export async function open<S extends ViewState>(
  view: ViewClass<S>,
  instead: MakeInstead = oneRun,
): Promise<void> {
  const place: Place | null = document.getElementById("gh-view");
  if (!place) return;
  const contents = await readContents();
  const page = instead(contents, ROLES[view.id] ?? "none", stored);
  const { coding } = contents;
  if (coding) weightsAreKnownWithin(coding.relative_error, coding.coarse ? coding.least : 0);
  if (contents.activations.some(({ dtype }) => dtype === "float16")) activationsAreRounded();
  const model = standIn({ ...contents.state }, page);
  place.glasshead = model;
  mount(view, model, place, new AbortController().signal);
  document.body.classList.add("is-live");
  // What was left out because the page can make it itself.
  model.save_changes();
}
