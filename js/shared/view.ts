/** What a view is: a class that takes an element and a host, and knows nothing of Jupyter. */

import type { Host } from "./host/host";
import type { MapState, TraceState, ViewState } from "./state";

export interface View<S> {
  /** Some of the state has changed; `changed` has the new values. */
  update(changed: Partial<S>): void;
  destroy(): void;
}

/** Names of traits as a record, so that the compiler sees a forgotten one. */
export type Names<Key extends PropertyKey> = Readonly<Record<Key, true>>;

/** The traits that every view has. */
export const VIEW_TRAITS: Names<keyof ViewState> = {
  theme: true,
  height: true,
  scene: true,
  frame: true,
  error: true,
  busy: true,
  story: true,
  step: true,
};

/** What a view of a trace has beside them. */
export const TRACE_TRAITS = {
  layer: true,
  heads: true,
  kind: true,
  unit: true,
  selected: true,
  hovered: true,
  selected_source: true,
  hovered_source: true,
  axes: true,
} as const satisfies Names<Exclude<keyof TraceState, keyof ViewState>>;

/** What a view of an attention map has. */
export const MAP_TRAITS = {
  ...TRACE_TRAITS,
  aggregate: true,
  sinks: true,
} as const satisfies Names<Exclude<keyof MapState, keyof ViewState>>;

export interface ViewClass<S extends ViewState> {
  new (el: HTMLElement, host: Host<S>): View<S>;
  /** What the page calls it: "attention-lines", the `data-view` of its root. */
  readonly id: string;
  readonly title: string;
  /** Its traits beyond those that every view has; a view of a trace begins with TRACE_TRAITS. */
  readonly traits: Names<Exclude<keyof S, keyof ViewState>>;
}

/** Tells whether any of these has changed; an empty change says that all is new. */
export function changesOf<S>(changed: Partial<S>): (...names: (keyof S)[]) => boolean {
  const all = Object.keys(changed).length === 0;
  return (...names) => all || names.some((name) => name in changed);
}
