/** What a view is: a class that takes an element and a host, and knows nothing of Jupyter. */

import type { Host } from "./host/host";
import type { CommonState } from "./state";

export interface View<S> {
  /** Some of the state has changed; `changed` has the new values. */
  update(changed: Partial<S>): void;
  destroy(): void;
}

/** Names of traits as a record, so that the compiler sees a forgotten one. */
export type Names<Key extends PropertyKey> = Readonly<Record<Key, true>>;

export interface ViewClass<S extends CommonState> {
  new (el: HTMLElement, host: Host<S>): View<S>;
  /** What the page calls it: "attention-lines", the `data-view` of its root. */
  readonly id: string;
  readonly title: string;
  /** Its traits beyond those that all views share. */
  readonly traits: Names<Exclude<keyof S, keyof CommonState>>;
}

/** Tells whether any of these has changed; an empty change says that all is new. */
export function changesOf<S>(changed: Partial<S>): (...names: (keyof S)[]) => boolean {
  const all = Object.keys(changed).length === 0;
  return (...names) => all || names.some((name) => name in changed);
}
