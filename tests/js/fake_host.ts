/** A host without Jupyter, and small made-up frames to look at. */

import { afterEach } from "vitest";
import type { NdArray } from "../../js/shared/arrays";
import type { Answer, Host, HostStatus } from "../../js/shared/host/host";
import type { Axes, Axis, Dtype, KindInfo, Packed, Scene, Unit } from "../../js/shared/state";
import type { View } from "../../js/shared/view";

// jsdom has no canvas; views must do without a context.
HTMLCanvasElement.prototype.getContext = () => null;

type Numbers = readonly number[];

const ARRAYS = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
};

export function pack(
  values: Numbers,
  dtype: Exclude<Dtype, "float16"> = "uint8",
  shape: number[] = [values.length],
): Packed {
  return { dtype, shape, data: ARRAYS[dtype].from(values) };
}

export function floats(values: Numbers, shape: number[] = [values.length]): NdArray {
  return { values: Float32Array.from(values), shape };
}

export function integers(values: Numbers): NdArray {
  return { values: Uint16Array.from(values), shape: [values.length] };
}

export function axis(labels: string[], more: Partial<Axis> = {}): Axis {
  return {
    sequence: "text",
    labels,
    predicted: null,
    emphasis: "label",
    special: pack(labels.map(() => 0)),
    generated: pack(labels.map(() => 0)),
    unit_of_token: pack(
      labels.map((_, i) => i),
      "uint32",
    ),
    ...more,
  };
}

export function selfAxes(labels: string[], unit: Unit = "token"): Axes {
  return { kind: "self", unit, query: axis(labels), key: axis(labels) };
}

export function scene(heads = 2, layers = [0, 1, 2]): Scene {
  const self: KindInfo = {
    name: "self",
    title: "Self-attention",
    causal: true,
    query: "text",
    key: "text",
    layers: layers.map((number) => ({ number, heads })),
  };
  return { model: `Toy · ${layers.length} layers`, family: "decoder", notice: "", kinds: [self] };
}

export interface Asked {
  question: string;
  args: Record<string, unknown>;
}

/** Views end with their test: none has a timer left when the page is gone. */
const hosts = new Set<{ readonly view: { destroy(): void } | null }>();
afterEach(() => {
  for (const { view } of hosts) view?.destroy();
  hosts.clear();
});

/** A host whose `set` reaches the view as in Jupyter, and whose answers the test decides. */
export class FakeHost<S extends object> implements Host<S> {
  view: View<S> | null = null;
  status: HostStatus = "ready";
  readonly asked: Asked[] = [];
  stopped = 0;

  constructor(
    readonly state: S,
    private readonly answer: (asked: Asked) => Answer | null = () => null,
  ) {
    hosts.add(this);
  }

  set(partial: Partial<S>): void {
    const names = Object.keys(partial) as (keyof S)[];
    const changed = names.filter((name) => this.state[name] !== partial[name]);
    Object.assign(this.state, partial);
    if (changed.length) this.view?.update(partial);
  }

  ask(question: string, args: Record<string, unknown>): Promise<Answer> {
    const asked = { question, args };
    this.asked.push(asked);
    const answer = this.answer(asked);
    return answer ? Promise.resolve(answer) : Promise.reject(new Error("the kernel is gone"));
  }

  private readonly listeners: ((status: HostStatus) => void)[] = [];

  onStatus(callback: (status: HostStatus) => void): void {
    this.listeners.push(callback);
  }

  /** The kernel goes or comes, and all that listen hear of it. */
  turn(status: HostStatus): void {
    this.status = status;
    for (const listener of this.listeners) listener(status);
  }

  stop(): void {
    this.stopped += 1;
  }
}

/** Lets answers arrive and animation frames pass. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 40));
}

export function common(axes: Axes, heads = 2) {
  return {
    layer: 1,
    heads: [] as number[],
    kind: axes.kind,
    unit: axes.unit,
    selected: [] as number[],
    hovered: null as number | null,
    selected_source: [] as number[],
    hovered_source: null as number | null,
    theme: "light" as const,
    height: 0,
    scene: scene(heads),
    axes,
    error: "",
    busy: "",
    story: [],
    step: 0,
  };
}

export function find(root: ParentNode, selector: string): HTMLElement {
  const element = root.querySelector(selector);
  if (!(element instanceof HTMLElement)) throw new Error(`nothing matches ${selector}`);
  return element;
}

export function press(root: HTMLElement, key: string, more: KeyboardEventInit = {}): void {
  const init = { key, bubbles: true, cancelable: true, ...more };
  root.dispatchEvent(new KeyboardEvent("keydown", init));
}

/** The elements under `root` that something takes out of the page. */
export function lostBy(root: Element, something: () => void): Element[] {
  const before = [...root.querySelectorAll("*")];
  something();
  return before.filter((element) => !element.isConnected);
}
