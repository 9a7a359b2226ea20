/** AttributionStrip: the text, coloured by how much each token made the model say another. */

import type { Host } from "../shared/host/host";
import { createShell, type Shell } from "../shared/shell";
import { TRACE_TRAITS, type View } from "../shared/view";
import type { AttributionState } from "./state";

export class AttributionStripView implements View<AttributionState> {
  static readonly id = "attribution-strip";
  static readonly title = "Attribution";
  static readonly traits = {
    ...TRACE_TRAITS,
    method: true,
    position: true,
    token: true,
    against: true,
    quantity: true,
    baseline: true,
    steps: true,
    targets: true,
    show: true,
  } as const;

  readonly #host: Host<AttributionState>;
  readonly #shell: Shell;

  constructor(el: HTMLElement, host: Host<AttributionState>) {
    this.#host = host;
    this.#shell = createShell(el, host, AttributionStripView, { onTheme: () => {} });
    this.update({});
  }

  update(_changed: Partial<AttributionState>): void {
    this.#shell.sync(this.#host.state);
    this.#shell.drawn(this.#host.state);
  }

  destroy(): void {
    this.#shell.destroy();
  }
}
