import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isAbort } from "../../js/shared/host/host";
import {
  BUSY_MS,
  createWire,
  EXPECT_MS,
  HELLO_MS,
  MAX_IN_FLIGHT,
  NO_KERNEL,
  type Port,
  type Wire,
} from "../../js/shared/host/wire";

type Message = Record<string, unknown>;

/** The kernel's end of the line; the test decides what it says and when. */
class FakeKernel implements Port {
  readonly received: Message[] = [];
  broken = false;
  private cut = false;
  private onCutChange = (): void => {};
  private callback: (message: unknown, buffers: readonly unknown[]) => void = () => {};

  send(message: Message): void {
    if (this.broken) throw new Error("this host cannot send");
    this.received.push(message);
  }

  listen(callback: (message: unknown, buffers: readonly unknown[]) => void): void {
    this.callback = callback;
  }

  isCut(): boolean {
    return this.cut;
  }

  onCut(callback: () => void): void {
    this.onCutChange = callback;
  }

  setCut(cut: boolean): void {
    this.cut = cut;
    this.onCutChange();
  }

  say(message: unknown, buffers: readonly unknown[] = []): void {
    this.callback(message, buffers);
  }

  of(kind: string): Message[] {
    return this.received.filter((message) => message.kind === kind);
  }

  answer(ask: Message | undefined, result: Message = {}): void {
    this.say({ kind: "answer", id: ask?.id, ok: true, result, layout: [] });
  }
}

let kernel: FakeKernel;
let end: AbortController;
let wire: Wire;

beforeEach(() => {
  vi.useFakeTimers();
  kernel = new FakeKernel();
  end = new AbortController();
  wire = createWire(kernel, end.signal);
});
afterEach(() => {
  end.abort();
  vi.useRealTimers();
});

const frame = (): void => {
  vi.advanceTimersByTime(20);
};

/** What became of a promise, without waiting for it. */
function watch(promise: Promise<unknown>): { value?: unknown; error?: unknown } {
  const seen: { value?: unknown; error?: unknown } = {};
  promise.then(
    (value) => {
      seen.value = value;
    },
    (error) => {
      seen.error = error;
    },
  );
  return seen;
}
const settled = async (): Promise<void> => {
  await vi.advanceTimersByTimeAsync(0);
};

describe("asking", () => {
  test("a question is answered with its result and arrays", async () => {
    const answer = watch(wire.ask("cell", { query: 1 }));
    frame();
    const [ask] = kernel.of("ask");
    expect(ask).toMatchObject({ question: "cell", args: { query: 1 } });
    // Jupyter: a DataView in the middle of a larger buffer, at an odd offset.
    const bytes = new Uint8Array(1 + 8);
    new DataView(bytes.buffer).setFloat32(1, 0.25, true);
    new DataView(bytes.buffer).setFloat32(5, 0.75, true);
    const layout = [{ name: "weights", dtype: "float32", shape: [2] }];
    kernel.say({ kind: "answer", id: ask?.id, ok: true, result: { query: 1 }, layout }, [
      new DataView(bytes.buffer, 1, 8),
    ]);
    await settled();
    expect(answer.value).toMatchObject({ result: { query: 1 } });
    const { arrays } = answer.value as { arrays: { weights: { values: Float32Array } } };
    expect([...arrays.weights.values]).toEqual([0.25, 0.75]);
  });

  test("Colab's Uint8Array is as good as a DataView", async () => {
    const answer = watch(wire.ask("fan", {}));
    frame();
    const layout = [{ name: "heads", dtype: "uint16", shape: [2] }];
    const whole = Uint8Array.of(9, 1, 0, 2, 0);
    kernel.say({ kind: "answer", id: kernel.of("ask")[0]?.id, ok: true, layout }, [
      whole.subarray(1),
    ]);
    await settled();
    const { arrays } = answer.value as { arrays: { heads: { values: Uint16Array } } };
    expect([...arrays.heads.values]).toEqual([1, 2]);
  });

  test("an answer without its array is an error, not a picture of nothing", async () => {
    const answer = watch(wire.ask("fan", {}));
    frame();
    const layout = [{ name: "weights", dtype: "float32", shape: [3] }];
    kernel.say({ kind: "answer", id: kernel.of("ask")[0]?.id, ok: true, layout }, []);
    await settled();
    expect(String(answer.error)).toContain("weights");
  });

  test("an error of the kernel reaches the view in its words", async () => {
    const answer = watch(wire.ask("cell", {}));
    frame();
    const id = kernel.of("ask")[0]?.id;
    kernel.say({ kind: "answer", id, ok: false, error: "row 9 is out of range" });
    await settled();
    expect(answer.error).toEqual(new Error("row 9 is out of range"));
  });
});

describe("not flooding the kernel", () => {
  test("of several asks of one question in a frame only the latest is sent", async () => {
    const first = watch(wire.ask("cell", { query: 1 }));
    const second = watch(wire.ask("cell", { query: 2 }));
    frame();
    expect(kernel.of("ask").map(({ args }) => args)).toEqual([{ query: 2 }]);
    await settled();
    expect(isAbort(first.error)).toBe(true);
    expect(second).toEqual({});
  });

  test("a newer ask cancels the one on its way, whose late answer is dropped", async () => {
    const first = watch(wire.ask("cell", { query: 1 }));
    frame();
    const second = watch(wire.ask("cell", { query: 2 }));
    frame();
    const [one, two] = kernel.of("ask");
    expect(kernel.of("cancel")).toEqual([{ kind: "cancel", id: one?.id }]);
    kernel.answer(two, { query: 2 });
    kernel.answer(one, { query: 1 });
    await settled();
    expect(isAbort(first.error)).toBe(true);
    expect(second.value).toMatchObject({ result: { query: 2 } });
  });

  test("never more than four are unanswered, cancelled ones included; the newest go first", async () => {
    for (let i = 0; i < 30; i++) {
      watch(wire.ask("cell", { query: i }));
      frame();
    }
    expect(kernel.of("ask")).toHaveLength(MAX_IN_FLIGHT);
    kernel.answer(kernel.of("ask")[0]);
    frame();
    expect(kernel.of("ask")).toHaveLength(MAX_IN_FLIGHT + 1);
    expect(kernel.of("ask").at(-1)?.args).toEqual({ query: 29 });
  });

  test("different questions do not cancel each other", async () => {
    const names = ["a", "b", "c", "d", "e"];
    for (const name of names) watch(wire.ask(name, {}));
    frame();
    expect(kernel.of("ask").map(({ question }) => question)).toEqual(["e", "d", "c", "b"]);
    expect(kernel.of("cancel")).toEqual([]);
    kernel.answer(kernel.of("ask")[0]);
    frame();
    expect(kernel.of("ask").at(-1)?.question).toBe("a");
  });

  test("an aborted ask is cancelled", async () => {
    const abort = new AbortController();
    const answer = watch(wire.ask("cell", {}, abort.signal));
    frame();
    abort.abort();
    await settled();
    expect(isAbort(answer.error)).toBe(true);
    expect(kernel.of("cancel")).toHaveLength(1);
  });

  test("answers to another view of the same model are none of ours", async () => {
    const answer = watch(wire.ask("cell", {}));
    frame();
    kernel.say({ kind: "answer", id: "somebody-else:0", ok: true, result: {}, layout: [] });
    await settled();
    expect(answer).toEqual({});
  });
});

describe("whether there is a kernel", () => {
  test("a hello that is not answered in time means a busy one; what is asked waits for it", async () => {
    const seen: string[] = [];
    wire.onStatus((status) => seen.push(status), end.signal);
    const early = watch(wire.ask("cell", {}));
    frame();
    expect(kernel.received[0]).toMatchObject({ kind: "hello" });
    vi.advanceTimersByTime(25_000);
    expect(seen).toEqual(["busy"]);
    expect(early).toEqual({});
    kernel.answer(kernel.of("ask")[0], { weight: 1 });
    await settled();
    expect(early.value).toMatchObject({ result: { weight: 1 } });
    expect(wire.status).toBe("ready");
  });

  test("a silent kernel is greeted again, less and less often, and it counts as busy meanwhile", () => {
    vi.advanceTimersByTime(HELLO_MS * (1 + 2 + 4) + 1);
    expect(kernel.of("hello")).toHaveLength(4);
    vi.advanceTimersByTime(300_000);
    expect(kernel.of("hello").length).toBeLessThan(20);
    expect(wire.status).toBe("busy");
    kernel.say({ kind: "hello", id: kernel.of("hello")[0]?.id });
    expect(wire.status).toBe("ready");
    const count = kernel.of("hello").length;
    vi.advanceTimersByTime(100_000);
    expect(kernel.of("hello")).toHaveLength(count);
  });

  test("an ask that was lost is asked again once the kernel greets back", async () => {
    const answer = watch(wire.ask("cell", { query: 3 }));
    frame();
    const [lost] = kernel.of("ask");
    vi.advanceTimersByTime(BUSY_MS);
    // The first hello went out before the ask: its answer says nothing about it.
    kernel.say({ kind: "hello", id: kernel.of("hello")[0]?.id });
    frame();
    expect(kernel.of("ask")).toHaveLength(1);
    kernel.say({ kind: "hello", id: kernel.of("hello").at(-1)?.id });
    frame();
    const again = kernel.of("ask").at(-1);
    expect(again).toMatchObject({ question: "cell", args: { query: 3 } });
    expect(again?.id).not.toBe(lost?.id);
    kernel.answer(again, { weight: 0.5 });
    await settled();
    expect(answer.value).toMatchObject({ result: { weight: 0.5 } });
  });

  test("lost asks that nobody waits for give their places back", () => {
    for (let i = 0; i < 9; i++) {
      watch(wire.ask("cell", { query: i }));
      frame();
    }
    expect(kernel.of("ask")).toHaveLength(MAX_IN_FLIGHT);
    vi.advanceTimersByTime(BUSY_MS);
    kernel.say({ kind: "hello", id: kernel.of("hello").at(-1)?.id });
    frame();
    expect(kernel.of("ask").at(-1)?.args).toEqual({ query: 8 });
  });

  test("it is gone when the host says so; asking then says so, until the line is mended", async () => {
    kernel.say({ kind: "hello" });
    const early = watch(wire.ask("cell", {}));
    frame();
    kernel.setCut(true);
    expect(wire.status).toBe("no kernel");
    await settled();
    expect(early.error).toEqual(new Error(NO_KERNEL));
    const late = watch(wire.ask("cell", {}));
    await settled();
    expect(late.error).toEqual(new Error(NO_KERNEL));
    kernel.setCut(false);
    kernel.say({ kind: "hello", id: kernel.of("hello").at(-1)?.id });
    expect(wire.status).toBe("ready");
  });

  test("a change that nothing is heard of after makes the view greet; what is heard spares it", () => {
    kernel.say({ kind: "hello" });
    const count = kernel.of("hello").length;
    wire.expect();
    wire.expect();
    vi.advanceTimersByTime(EXPECT_MS);
    expect(kernel.of("hello")).toHaveLength(count + 1);
    kernel.say({ kind: "hello" });
    wire.expect();
    kernel.say({ kind: "answer", id: "somebody-else:0", ok: true });
    vi.advanceTimersByTime(EXPECT_MS);
    expect(kernel.of("hello")).toHaveLength(count + 1);
  });

  test("a host that could not send for a while has its kernel back by itself", () => {
    kernel.say({ kind: "hello" });
    kernel.broken = true;
    watch(wire.ask("cell", {}));
    frame();
    expect(wire.status).toBe("no kernel");
    kernel.broken = false;
    vi.advanceTimersByTime(60_000);
    kernel.say({ kind: "hello", id: kernel.of("hello").at(-1)?.id });
    expect(wire.status).toBe("ready");
  });

  test("a host that cannot send has no kernel", async () => {
    const mute = new FakeKernel();
    mute.broken = true;
    const alone = createWire(mute, end.signal);
    expect(alone.status).toBe("no kernel");
  });

  test("an answer that takes ten seconds shows a busy kernel, and its coming a ready one", () => {
    kernel.say({ kind: "hello" });
    watch(wire.ask("tile", {}));
    frame();
    vi.advanceTimersByTime(BUSY_MS);
    expect(wire.status).toBe("busy");
    kernel.answer(kernel.of("ask")[0]);
    expect(wire.status).toBe("ready");
  });

  test("other messages on the same line are left alone", () => {
    for (const message of [null, "hello", 3, { method: "custom" }, { kind: "else" }]) {
      kernel.say(message);
    }
    vi.advanceTimersByTime(HELLO_MS);
    expect(wire.status).toBe("busy");
  });

  test("when the view ends, what is open is cancelled and no timer stays", async () => {
    const answer = watch(wire.ask("cell", {}));
    frame();
    end.abort();
    await settled();
    expect(isAbort(answer.error)).toBe(true);
    expect(kernel.of("cancel")).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
