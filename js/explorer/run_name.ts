/** What the run without some heads is called where a page without a kernel is asked for it. */

import type { OffHead, OffHow } from "./state";

export function runName(off: readonly OffHead[], how: OffHow): string {
  return `without ${off.length ? how : ""} ${JSON.stringify(off)}`;
}
