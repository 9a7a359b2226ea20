import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { adapter, createHost } from "../../js/shared/host/anywidget";
import type { Host } from "../../js/shared/host/host";
import { createPassing, REST_MS } from "../../js/shared/host/passing";
import type { TraceState } from "../../js/shared/state";
import { TRACE_TRAITS, type View } from "../../js/shared/view";
import { FakeModel, StaticModel } from "./fake_model";

interface Small {
  layer: number;
  heads: number[];
  hovered: number | null;
}
const NAMES = ["layer", "heads", "hovered"] as const;
const values = () => ({ layer: 1, heads: [0, 2], hovered: null, unknown: "left alone" });

const nextFrame = (): Promise<void> =>
  new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())));

let model: FakeModel;
let end: AbortController;
let changes: Partial<Small>[];
let host: Host<Small>;

beforeEach(() => {
  model = new FakeModel(values());
  end = new AbortController();
  changes = [];
  host = createHost<Small>(model.asModel, NAMES, (changed) => changes.push(changed), end.signal);
});

describe("state", () => {
  test("is a snapshot of the view's own traits", () => {
    expect(host.state).toEqual({ layer: 1, heads: [0, 2], hovered: null });
  });

  test("changes that arrive together reach the view as one", async () => {
    model.set("layer", 2);
    model.set("heads", [1]);
    model.set("layer", 3);
    expect(host.state.layer).toBe(3);
    await nextFrame();
    expect(changes).toEqual([{ layer: 3, heads: [1] }]);
  });

  test("setting reaches the kernel at once and the view once", async () => {
    host.set({ layer: 5, hovered: 7 });
    expect(model.values).toMatchObject({ layer: 5, hovered: 7 });
    expect(model.saves).toBe(1);
    await nextFrame();
    expect(changes).toEqual([{ layer: 5, hovered: 7 }]);
  });

  test("setting what is already there sends nothing", async () => {
    host.set({ layer: 1, heads: [0, 2] });
    await nextFrame();
    expect(model.saves).toBe(0);
    expect(changes).toEqual([]);
  });
});

afterEach(() => end.abort());

describe("what the pointer is on", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  test("reaches the kernel when it rests, once for all that it has passed", () => {
    for (const token of [3, 4, 5, 6]) {
      host.set({ hovered: token });
      vi.advanceTimersByTime(REST_MS - 1);
    }
    expect([host.state.hovered, model.values.hovered, model.saves]).toEqual([6, null, 0]);
    vi.advanceTimersByTime(1);
    expect([model.values.hovered, model.saves]).toEqual([6, 1]);
    vi.advanceTimersByTime(10 * REST_MS);
    expect(model.saves).toBe(1);
  });

  test("is sent together with what changes next, never after it", () => {
    host.set({ hovered: 3 });
    host.set({ layer: 2 });
    expect(model.values).toMatchObject({ hovered: 3, layer: 2 });
    expect(model.saves).toBe(1);
    vi.advanceTimersByTime(REST_MS);
    expect(model.saves).toBe(1);
  });

  test("reaches a kernel that watches at once", () => {
    model.values.watched = true;
    host.set({ hovered: 3 });
    expect([model.values.hovered, model.saves]).toEqual([3, 1]);
  });

  test("is what the kernel says, where that comes later", () => {
    host.set({ hovered: 3 });
    model.set("hovered", 9);
    vi.advanceTimersByTime(REST_MS);
    expect([host.state.hovered, model.values.hovered, model.saves]).toEqual([9, 9, 0]);
  });

  test("is nothing any more in another text", () => {
    const texts = new FakeModel({ ...values(), scene: { model: "one" } });
    const traits = [...NAMES, "scene"] as never[];
    const other = createHost<Small>(texts.asModel, traits, () => {}, end.signal);
    other.set({ hovered: 3 });
    texts.set("scene", { model: "another" });
    vi.advanceTimersByTime(REST_MS);
    expect([other.state.hovered, texts.values.hovered, texts.saves]).toEqual([null, null, 0]);
  });

  test("is the same in all that shows the model", () => {
    const [passing, shared] = [createPassing(), new FakeModel(values())];
    const make = () =>
      createHost<Small>(shared.asModel, NAMES, () => {}, end.signal, null, passing);
    const [one, two] = [make(), make()];
    one.set({ hovered: 3 });
    two.set({ hovered: 4 });
    expect([one.state.hovered, two.state.hovered, shared.saves]).toEqual([4, 4, 0]);
    vi.advanceTimersByTime(REST_MS);
    expect([shared.values.hovered, shared.saves]).toEqual([4, 1]);
  });

  test("is sent when the view ends", () => {
    host.set({ hovered: 3 });
    end.abort();
    expect([model.values.hovered, model.saves]).toEqual([3, 1]);
  });
});

describe("the end", () => {
  test("frees every listener", async () => {
    expect(model.listenerCount).toBe(NAMES.length + 2);
    end.abort();
    expect(model.listenerCount).toBe(0);
    model.set("layer", 9);
    await nextFrame();
    expect(changes).toEqual([]);
  });

  test("a view that is gone changes nothing any more", () => {
    end.abort();
    host.set({ layer: 4 });
    expect(model.values.layer).toBe(1);
  });
});

test("a greeting says which picture the page has", () => {
  const of = (values: Record<string, unknown>) => {
    const drawn = new FakeModel(values);
    createHost(drawn.asModel, Object.keys(values) as never[], () => {}, end.signal);
    return drawn.sent[0];
  };
  expect(of({ frame: { key: { layer: 3 } } })).toMatchObject({
    kind: "hello",
    frame: { layer: 3 },
  });
  expect(of({ frame: {} })).toMatchObject({ kind: "hello", frame: null });
});

test("an element that ipywidgets marks as disconnected has no kernel, until the mark goes", async () => {
  const el = document.createElement("div");
  el.className = "jupyter-widgets jupyter-widgets-disconnected";
  const restored = new FakeModel(values());
  const cut = createHost<Small>(restored.asModel, NAMES, () => {}, end.signal, el);
  expect(cut.status).toBe("no kernel");
  el.className = "jupyter-widgets";
  restored.fire("comm_live_update");
  await Promise.resolve();
  restored.fire("msg:custom", { kind: "hello" });
  expect(cut.status).toBe("ready");
  el.className = "jupyter-widgets jupyter-widgets-disconnected";
  restored.fire("comm_live_update");
  await Promise.resolve();
  expect(cut.status).toBe("no kernel");
});

test("a host where everything throws still has a working view", async () => {
  const still = new StaticModel(values());
  const until = new AbortController();
  const seen: Partial<Small>[] = [];
  const fixed = createHost<Small>(still.asModel, NAMES, (c) => seen.push(c), until.signal);
  expect(fixed.status).toBe("no kernel");
  fixed.set({ layer: 2 });
  await nextFrame();
  expect(seen).toEqual([{ layer: 2 }]);
  expect(() => until.abort()).not.toThrow();
});

describe("the module's default export", () => {
  const destroyed: string[] = [];
  class Probe implements View<TraceState> {
    static readonly id = "probe";
    static readonly title = "Probe";
    static readonly traits = TRACE_TRAITS;
    private readonly line = document.createElement("p");
    constructor(
      el: HTMLElement,
      private readonly host: Host<TraceState>,
    ) {
      if (host.state.layer < 0) throw new Error("no such layer");
      el.append(this.line);
      this.update();
    }
    update(): void {
      this.line.textContent = `layer ${this.host.state.layer}`;
    }
    destroy(): void {
      destroyed.push(this.line.textContent ?? "");
      this.line.remove();
    }
  }
  const render = (layer: number, signal?: AbortSignal) => {
    const el = document.createElement("div");
    const shared = new FakeModel({ layer });
    const props = { model: shared.asModel, el, signal } as unknown as Parameters<
      NonNullable<ReturnType<ReturnType<typeof adapter>>["render"]>
    >[0];
    return { el, shared, props };
  };
  const widget = adapter(Probe)();

  test("ends by the returned clean-up where the host has no signal", () => {
    const { el, shared, props } = render(3);
    const cleanup = widget.render?.(props) as () => void;
    expect(el.textContent).toBe("layer 3");
    cleanup();
    expect(el.textContent).toBe("");
    expect(shared.listenerCount).toBe(0);
  });

  test("ends by the signal where there is one, and only once", () => {
    const abort = new AbortController();
    const { props } = render(4, abort.signal);
    const cleanup = widget.render?.(props) as () => void;
    destroyed.length = 0;
    abort.abort();
    cleanup();
    expect(destroyed).toEqual(["layer 4"]);
  });

  test("two views of one model stay in step", async () => {
    const { el, shared, props } = render(0);
    const second = document.createElement("div");
    widget.render?.(props);
    widget.render?.({ ...props, el: second });
    shared.set("layer", 6);
    await nextFrame();
    expect([el.textContent, second.textContent]).toEqual(["layer 6", "layer 6"]);
  });

  test("a view that cannot be drawn says why", () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const { el, props } = render(-1);
    widget.render?.(props);
    expect(el.textContent).toBe("Probe could not be drawn: no such layer");
    expect(log).toHaveBeenCalledOnce();
    log.mockRestore();
  });
});
