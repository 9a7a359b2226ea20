/** QueryKeyView: what the scores of one token are summed from. */

import type { Host } from "../shared/host/host";
import { createShell, type Shell } from "../shared/shell";
import type { TraceState } from "../shared/state";
import { TRACE_TRAITS, type View } from "../shared/view";

export interface QueryKeyState extends TraceState {
  query: number;
  key: number | null;
  sort: "dimension" | "largest";
  rows: "text" | "strongest";
}

export class QueryKeyViewView implements View<QueryKeyState> {
  static readonly id = "query-key-view";
  static readonly title = "Query and key";
  static readonly traits = {
    ...TRACE_TRAITS,
    query: true,
    key: true,
    sort: true,
    rows: true,
  } as const;

  readonly #host: Host<QueryKeyState>;
  readonly #shell: Shell;

  constructor(el: HTMLElement, host: Host<QueryKeyState>) {
    this.#host = host;
    this.#shell = createShell(el, host, QueryKeyViewView, { onTheme: () => {} });
    this.update();
  }

  update(): void {
    this.#shell.sync(this.#host.state);
  }

  destroy(): void {
    this.#shell.destroy();
  }
}
