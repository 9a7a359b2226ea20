/** The world of a view: its state, and where answers come from. */

import type { NdArray } from "../arrays";
import type { Child } from "../dom";
import type { Wish } from "../save/file";

export type HostStatus = "ready" | "busy" | "no kernel";

export interface Answer {
  result: Readonly<Record<string, unknown>>;
  arrays: Readonly<Record<string, NdArray>>;
}

/** The world of a view: its state, a way to change it, a way to ask. Knows nothing of Jupyter. */
export interface Host<S> {
  readonly state: Readonly<S>;
  /** Changes state everywhere; the view hears of it through `update` as of any other change. */
  set(partial: Partial<S>): void;
  /** Rejects with an `Error` in plain words, or with an AbortError when a newer ask replaced it. */
  ask(question: string, args: Record<string, unknown>, signal?: AbortSignal): Promise<Answer>;
  /** Whether such a question can be answered at all: a saved page has no model to run. */
  can?(question: string): boolean;
  /** Whether a change of this trait asks for a picture that nobody is there to draw. */
  fixed?(name: keyof S & string): boolean;
  /** Ends long work of the kernel; the picture and its state stay. */
  stop(): void;
  readonly status: HostStatus;
  /** A kernel has answered before: where there is none now, it was restarted, or has ended. */
  readonly wasThere?: boolean;
  onStatus(callback: (status: HostStatus) => void, signal: AbortSignal): void;
  /** Draws the picture when the kernel asks for it; where no kernel can ask, there is none. */
  onPicture?(make: (wish: Wish) => Promise<Blob>, pane?: string): void;
  /** It is a pane of an explorer, whose own header has what all panes share. */
  readonly pane?: boolean;
  /** Where a pane's words go: the explorer has one line for all. */
  readonly words?: PaneWords;
}

/** What a pane says, under the picture and to screen readers. */
export interface PaneWords {
  setStatus(...words: Child[]): void;
  announce(words: string): void;
}

/** Why there is no kernel, and the way out. */
export function whyNoKernel(host: Pick<Host<never>, "wasThere">): string {
  return host.wasThere ? "The kernel was restarted or has ended." : "No kernel.";
}

/** Whether any of these traits cannot be changed now: their controls are switched off. */
export function isFixed<S>(
  host: Pick<Host<S>, "fixed">,
  ...names: readonly (keyof S & string)[]
): boolean {
  return names.some((name) => host.fixed?.(name) === true);
}

/** Calls back when the kernel has gone, and when there is one again. */
export function onGone(
  host: Pick<Host<never>, "status" | "onStatus">,
  callback: () => void,
  signal: AbortSignal,
): void {
  const isGone = (): boolean => host.status === "no kernel";
  let was = isGone();
  const look = (): void => {
    if (was === isGone()) return;
    was = isGone();
    callback();
  };
  host.onStatus(look, signal);
}

/** How an ask ends that nobody waits for any more. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/** Whether two values of a trait are the same: plain values, lists or small objects of such. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const [names, others] = [Object.keys(a), Object.keys(b)];
  return names.length === others.length && names.every((name) => same(a[name], b[name]));
}

/** A list or an object, but no bytes. */
function isPlain(value: unknown): value is Record<string, unknown> {
  const kind = Object.prototype.toString.call(value);
  return kind === "[object Object]" || kind === "[object Array]";
}
