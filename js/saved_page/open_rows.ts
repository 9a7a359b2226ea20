/** Opens a saved page that may be of an atlas. */

import type { ViewState } from "../shared/state";
import type { ViewClass } from "../shared/view";
import { open as openPage } from "./open";
import { WithRows } from "./rows";

export function open<S extends ViewState>(view: ViewClass<S>): Promise<void> {
  return openPage(view, (...of) => new WithRows(...of));
}
