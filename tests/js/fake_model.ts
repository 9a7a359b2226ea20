/** anywidget models as strict as the weakest host. */

import type { AnyModel } from "@anywidget/types";

type Callback = (...args: unknown[]) => void;

export class FakeModel {
  readonly sent: unknown[] = [];
  saves = 0;
  readonly listeners = new Map<string, Set<Callback>>();

  constructor(readonly values: Record<string, unknown>) {}

  get(name: string): unknown {
    return this.values[name];
  }

  set(name: string, value: unknown): void {
    if (this.values[name] === value) return;
    this.values[name] = value;
    this.fire(`change:${name}`);
  }

  save_changes(): void {
    this.saves++;
  }

  send(message: unknown): void {
    this.sent.push(message);
  }

  on(event: string, callback: Callback): void {
    if (event.includes(" ")) throw new Error("one event name at a time");
    const known = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, known.add(callback));
  }

  off(event: string, callback: Callback): void {
    this.listeners.get(event)?.delete(callback);
  }

  fire(event: string, ...args: unknown[]): void {
    for (const callback of [...(this.listeners.get(event) ?? [])]) callback(...args);
  }

  get listenerCount(): number {
    return [...this.listeners.values()].reduce((count, set) => count + set.size, 0);
  }

  /** As the type that anywidget hands over. */
  get asModel(): AnyModel {
    return this as unknown as AnyModel;
  }
}

/** MyST: no kernel, and everything that would need one throws. */
export class StaticModel extends FakeModel {
  override save_changes(): void {
    throw new Error("not supported");
  }
  override send(): void {
    throw new Error("not supported");
  }
  override off(): void {
    throw new Error("not supported");
  }
}
