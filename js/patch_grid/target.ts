/** What is asked of the model: a quantity, of one token, or of one against another. */

import { type Choice, dropdown } from "../shared/controls";
import { h } from "../shared/dom";
import { type Host, isFixed, same } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import { quote } from "../shared/token_text";
import type { PatchFrame, PatchState, Quantity, Target, TargetToken } from "./state";

export interface TargetLine {
  readonly element: HTMLElement;
  update(frame: PatchFrame | null): void;
}

/** What both runs expect first. */
const K = 5;

const QUANTITIES: readonly Choice<Quantity>[] = [
  { value: "log_probability", label: "log-probability", title: "In nats" },
  { value: "logit", label: "logit", title: "As the model puts it out, before the softmax" },
];
/** What Python finds when nothing is said. */
const AUTO = "auto";
const NOTHING = "nothing";

export function createTargetLine(host: Host<PatchState>, signal: AbortSignal): TargetLine {
  let frame: PatchFrame | null = null;
  const set = (patch: (about: PatchFrame["about"]) => Partial<Target>): void => {
    if (frame) host.set(patch(frame.about));
  };
  const quantity = dropdown<Quantity>("Asked", "quantity", (value) =>
    host.set({ quantity: value }),
  );
  const token = dropdown("of", "token", (value) => set((about) => withToken(about, value)));
  const against = dropdown("against", "against", (value) =>
    set((about) => withAgainst(about, value)),
  );
  const expected = createQuestion<{ position: number; k: number }, TargetToken[]>(host, signal, {
    name: "expected",
    read: ({ result }) => readExpected(result),
    onReply: () => show(),
  });
  const show = (): void => {
    if (!frame) return;
    const { about } = frame;
    const { state } = host;
    const off = (name: keyof Target): boolean =>
      host.can?.("expected") === false || isFixed(host, name);
    const some = expected.value({ position: about.position, k: K }) ?? [];
    const [isAuto, isAgainstAuto] = [
      state.token === null,
      state.token === null && state.against === null,
    ];
    quantity.update({
      choices: QUANTITIES,
      value: about.quantity,
      // Of two tokens the difference is the same, whichever is asked.
      disabled: off("quantity") || about.against !== null,
    });
    token.update({
      choices: [auto(isAuto ? about.token : null), ...choices(some, isAuto ? null : about.token)],
      value: isAuto ? AUTO : String(about.token.id),
      disabled: off("token"),
    });
    const others = some.filter(({ id }) => id !== about.token.id);
    against.update({
      choices: [
        auto(isAgainstAuto ? about.against : null),
        { value: NOTHING, label: "nothing", title: "The token by itself" },
        ...choices(others, isAgainstAuto ? null : about.against),
      ],
      value: isAgainstAuto ? AUTO : about.against ? String(about.against.id) : NOTHING,
      disabled: off("against"),
    });
  };
  const element = h(
    "div",
    { class: "pg-asked" },
    ...[quantity, token, against].map((control) => control.element),
  );
  return {
    element,
    update(next) {
      // Of other texts the runs expect other tokens.
      if (frame && next && !same(textsOf(frame), textsOf(next))) expected.forget();
      frame = next;
      if (!next) return;
      const { position } = next.about;
      if (host.can?.("expected") !== false) expected.ask({ position, k: K });
      show();
    },
  };
}

function textsOf({ clean, corrupted }: PatchFrame): readonly string[][] {
  return [clean.texts, corrupted.texts];
}

/** Another token; what it is compared with stays, where that is another. */
function withToken({ against }: PatchFrame["about"], value: string): Partial<Target> {
  if (value === AUTO) return { token: null, against: null };
  const id = Number(value);
  return { token: id, against: against && against.id !== id ? against.id : null };
}

/** With nothing said of either token Python finds both. */
function withAgainst({ token }: PatchFrame["about"], value: string): Partial<Target> {
  if (value === AUTO) return { token: null, against: null };
  return { token: token.id, against: value === NOTHING ? null : Number(value) };
}

function auto(token: TargetToken | null): Choice<string> {
  const title = "What the clean run expects, against what the corrupted run expects";
  return { value: AUTO, label: token ? `auto: ${quote(token.text)}` : "auto", title };
}

function choices(some: readonly TargetToken[], chosen: TargetToken | null): Choice<string>[] {
  const isThere = chosen === null || some.some(({ id }) => id === chosen.id);
  const all = isThere ? some : [chosen, ...some];
  return all.map(({ id, text }) => ({ value: String(id), label: quote(text) }));
}

/** What both runs expect first, each token once; null where it is no such answer. */
function readExpected(result: Readonly<Record<string, unknown>>): TargetToken[] | null {
  const found = new Map<number, string>();
  for (const run of [result.clean, result.corrupted]) {
    const { ids, tokens } = (run ?? {}) as { ids?: number[]; tokens?: string[] };
    if (!ids || !tokens) return null;
    for (const [i, id] of ids.entries()) found.set(id, found.get(id) ?? tokens[i] ?? "");
  }
  return [...found].map(([id, text]) => ({ id, text }));
}
