/**
 * Questions to the kernel, over messages: ask, answer, cancel, hello.
 *
 * A view asks while the pointer moves, a kernel answers when it can. So: one ask per question and
 * animation frame (the latest wins, an older one of the same question is cancelled), at most four
 * unanswered, and no answer reaches a view that has moved on. A cancelled ask keeps its place
 * among the four until the kernel has answered it: a busy kernel is not flooded.
 *
 * Silence is no sign that there is no kernel: one that runs a cell answers when the cell is done.
 * So a view that hears nothing says that the kernel is busy, and asks again and again whether it is
 * there; that it is gone is only said when nothing can be sent, or the host says so.
 */

import { decode, type NdArray } from "../arrays";
import type { Dtype } from "../state";
import type { Answer, HostStatus } from "./host";

/** The way to the kernel. `send` may throw, where there is none. */
export interface Port {
  send(message: Record<string, unknown>): void;
  listen(callback: (message: unknown, buffers: readonly unknown[]) => void): void;
  /** Whether the host says that there is no kernel at the other end; not all hosts know. */
  isCut(): boolean;
  /** Calls back when that has changed. */
  onCut(callback: () => void): void;
  /** What a greeting says of the page; the kernel sends what the page has missed. */
  greeting?(): Record<string, unknown>;
}

export interface Wire {
  ask(question: string, args: Record<string, unknown>, signal?: AbortSignal): Promise<Answer>;
  /** Something was sent that is not an ask: if nothing is heard soon, the kernel is greeted. */
  expect(): void;
  readonly status: HostStatus;
  /** A kernel has answered: where there is none, it was restarted, or has ended. */
  readonly wasThere: boolean;
  onStatus(callback: (status: HostStatus) => void, signal: AbortSignal): void;
}

export const MAX_IN_FLIGHT = 4;
/** A kernel that has not greeted back after this many milliseconds is busy. */
export const HELLO_MS = 1500;
/** It is greeted again after twice as long each time, up to this. */
export const HELLO_MOST_MS = 24_000;
/** A change that brings no message for so long may have been lost: the kernel is greeted. */
export const EXPECT_MS = 3000;
/** A kernel that leaves a question unanswered for this many milliseconds is busy. */
export const BUSY_MS = 10_000;
export const NO_KERNEL = "There is no kernel to ask: run the cell again for live values.";

interface Ask {
  /** A new one each time that it is sent. */
  id: string;
  /** The count of messages when it was sent. */
  sent: number;
  readonly question: string;
  readonly args: Record<string, unknown>;
  resolve(answer: Answer): void;
  reject(error: Error): void;
  /** Resolved or rejected already: the answer, when it comes, is dropped. */
  settled: boolean;
  busyTimer: ReturnType<typeof setTimeout> | undefined;
}

interface LayoutEntry {
  name: string;
  dtype: Dtype;
  shape: number[];
}

export function createWire(port: Port, signal: AbortSignal): Wire {
  return new KernelWire(port, signal);
}

function abortError(): Error {
  const error = new Error("A newer question took the place of this one.");
  error.name = "AbortError";
  return error;
}

class KernelWire implements Wire {
  status: HostStatus = "ready";
  wasThere = false;
  readonly #port: Port;
  readonly #signal: AbortSignal;
  // Views of one model share its messages: the prefix tells our answers from theirs.
  // (crypto.randomUUID is missing on pages served over plain http.)
  readonly #prefix = Math.random().toString(36).slice(2, 10);
  #count = 0;
  readonly #waiting = new Map<string, Ask>();
  readonly #inFlight = new Map<string, Ask>();
  readonly #listeners = new Set<(status: HostStatus) => void>();
  #frame = 0;
  #helloTimer: ReturnType<typeof setTimeout> | undefined;
  #helloWait = HELLO_MS;
  #expectTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(port: Port, signal: AbortSignal) {
    this.#port = port;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#end());
    port.listen((message, buffers) => this.#receive(message, buffers));
    port.onCut(() => this.#greet());
    this.#greet();
  }

  ask(question: string, args: Record<string, unknown>, signal?: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted || this.#signal.aborted) return reject(abortError());
      if (this.status === "no kernel") return reject(new Error(NO_KERNEL));
      for (const older of this.#current(question)) this.#cancel(older);
      const base = { id: "", sent: 0, question, args, settled: false, busyTimer: undefined };
      const ask: Ask = { ...base, resolve, reject };
      signal?.addEventListener("abort", () => this.#cancel(ask), { once: true });
      this.#waiting.set(question, ask);
      this.#schedule();
    });
  }

  expect(): void {
    if (this.#signal.aborted || this.status !== "ready") return;
    this.#expectTimer ??= setTimeout(() => {
      this.#expectTimer = undefined;
      this.#greet();
    }, EXPECT_MS);
  }

  onStatus(callback: (status: HostStatus) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(callback);
    signal.addEventListener("abort", () => this.#listeners.delete(callback));
  }

  #current(question: string): Ask[] {
    return [...this.#waiting.values(), ...this.#inFlight.values()].filter(
      (ask) => ask.question === question && !ask.settled,
    );
  }

  #cancel(ask: Ask): void {
    if (ask.settled) return;
    if (this.#waiting.get(ask.question) === ask) this.#waiting.delete(ask.question);
    else this.#send({ kind: "cancel", id: ask.id });
    this.#settle(ask, () => ask.reject(abortError()));
  }

  #settle(ask: Ask, how: () => void): void {
    if (ask.settled) return;
    ask.settled = true;
    how();
  }

  #schedule(): void {
    if (this.#frame === 0 && this.#waiting.size > 0) {
      this.#frame = requestAnimationFrame(() => this.#pump());
    }
  }

  /** Sends what waits, newest first, while there is room. */
  #pump(): void {
    this.#frame = 0;
    for (const ask of [...this.#waiting.values()].reverse()) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) return;
      this.#waiting.delete(ask.question);
      ask.sent = this.#count++;
      ask.id = `${this.#prefix}:${ask.sent}`;
      this.#inFlight.set(ask.id, ask);
      ask.busyTimer = setTimeout(() => {
        this.#setStatus("busy");
        this.#greet();
      }, BUSY_MS);
      const { id, question, args } = ask;
      if (!this.#send({ kind: "ask", id, question, args })) {
        this.#lose();
        this.#greet();
        return;
      }
    }
  }

  #receive(message: unknown, buffers: readonly unknown[]): void {
    if (this.#signal.aborted || !isRecord(message)) return;
    if (message.kind !== "hello" && message.kind !== "answer") return;
    clearTimeout(this.#helloTimer);
    clearTimeout(this.#expectTimer);
    this.#expectTimer = undefined;
    this.#helloWait = HELLO_MS;
    this.wasThere = true;
    this.#setStatus("ready");
    if (message.kind === "hello") this.#askAgain(message.id);
    const ask = this.#inFlight.get(String(message.id));
    if (!ask) return;
    this.#inFlight.delete(ask.id);
    clearTimeout(ask.busyTimer);
    this.#settle(ask, () => {
      try {
        ask.resolve(readAnswer(message, buffers));
      } catch (error) {
        ask.reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#schedule();
  }

  #send(message: Record<string, unknown>): boolean {
    try {
      this.#port.send(message);
      return true;
    } catch {
      return false;
    }
  }

  /** Asks whether a kernel is there, again and again until it answers. */
  #greet(): void {
    clearTimeout(this.#helloTimer);
    if (this.#signal.aborted) return;
    if (this.#port.isCut()) {
      this.#lose();
      return;
    }
    const id = `${this.#prefix}:${this.#count++}`;
    const isSent = this.#send({ kind: "hello", id, ...this.#port.greeting?.() });
    if (!isSent) this.#lose();
    this.#helloTimer = setTimeout(() => {
      if (isSent) this.#setStatus("busy");
      this.#greet();
    }, this.#helloWait);
    this.#helloWait = Math.min(2 * this.#helloWait, HELLO_MOST_MS);
  }

  /**
   * What was sent before a hello that has been answered, and has no answer itself, was lost, or
   * waits behind a cell that the hello has overtaken: it is asked anew.
   */
  #askAgain(hello: unknown): void {
    const [prefix, count] = String(hello).split(":");
    if (prefix !== this.#prefix) return;
    for (const ask of [...this.#inFlight.values()]) {
      if (ask.sent > Number(count)) continue;
      this.#inFlight.delete(ask.id);
      clearTimeout(ask.busyTimer);
      if (!ask.settled) this.#waiting.set(ask.question, ask);
    }
    this.#schedule();
  }

  #lose(): void {
    clearTimeout(this.#helloTimer);
    this.#setStatus("no kernel");
    this.#drop(new Error(NO_KERNEL));
  }

  #end(): void {
    clearTimeout(this.#helloTimer);
    clearTimeout(this.#expectTimer);
    cancelAnimationFrame(this.#frame);
    for (const ask of this.#inFlight.values()) {
      if (!ask.settled) this.#send({ kind: "cancel", id: ask.id });
    }
    this.#drop(abortError());
    this.#listeners.clear();
  }

  #drop(error: Error): void {
    for (const ask of [...this.#waiting.values(), ...this.#inFlight.values()]) {
      clearTimeout(ask.busyTimer);
      this.#settle(ask, () => ask.reject(error));
    }
    this.#waiting.clear();
    this.#inFlight.clear();
  }

  #setStatus(status: HostStatus): void {
    if (status === this.status) return;
    this.status = status;
    for (const listener of [...this.#listeners]) listener(status);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Throws an `Error` in plain words where the kernel could not answer, or not completely. */
function readAnswer(message: Record<string, unknown>, buffers: readonly unknown[]): Answer {
  if (message.ok !== true) {
    throw new Error(typeof message.error === "string" ? message.error : "The kernel failed.");
  }
  const arrays: Record<string, NdArray> = {};
  const layout = (message.layout ?? []) as LayoutEntry[];
  for (const [i, { name, dtype, shape }] of layout.entries()) {
    const buffer = buffers[i];
    if (!(ArrayBuffer.isView(buffer) || buffer instanceof ArrayBuffer)) {
      throw new Error(`The answer came without its array “${name}”.`);
    }
    const values = decode(dtype, buffer);
    const size = shape.reduce((product, n) => product * n, 1);
    if (values.length !== size) {
      throw new Error(`The array “${name}” came with ${values.length} of ${size} numbers.`);
    }
    arrays[name] = { values, shape };
  }
  return { result: (message.result ?? {}) as Record<string, unknown>, arrays };
}
