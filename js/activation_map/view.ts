/** ActivationMap: the numbers of a block, tokens by dimensions. */

import type { Host } from "../shared/host/host";
import { createShell, type Shell } from "../shared/shell";
import type { TraceState } from "../shared/state";
import { TRACE_TRAITS, type View } from "../shared/view";

export interface ActivationMapState extends TraceState {
  block: string;
  sort: "dimension" | "largest" | "cluster";
  dimensions: number[];
}

export class ActivationMapView implements View<ActivationMapState> {
  static readonly id = "activation-map";
  static readonly title = "Activations";
  static readonly traits = {
    ...TRACE_TRAITS,
    block: true,
    sort: true,
    dimensions: true,
  } as const;

  readonly #host: Host<ActivationMapState>;
  readonly #shell: Shell;

  constructor(el: HTMLElement, host: Host<ActivationMapState>) {
    this.#host = host;
    this.#shell = createShell(el, host, ActivationMapView, { onTheme: () => {} });
    this.update();
  }

  update(): void {
    this.#shell.sync(this.#host.state);
  }

  destroy(): void {
    this.#shell.destroy();
  }
}
