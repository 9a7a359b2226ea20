/** Opens the saved page of an explorer, which carries the runs without some heads, too. */

import type { ViewState } from "../shared/state";
import type { ViewClass } from "../shared/view";
import { open as openWith } from "./open";
import { SavedRuns } from "./runs";

export function open<S extends ViewState>(view: ViewClass<S>): Promise<void> {
  return openWith(view, (...of) => new SavedRuns(...of));
}
