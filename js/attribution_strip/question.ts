/** What is asked: why this token, against which other one, at which place. */

import { button, disable, fill, h, mark } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import { toggled } from "../shared/lit";
import { percent } from "../shared/numbers";
import { quote } from "../shared/token_text";
import type { AttributionData } from "./data";
import type { AttributionState, Named } from "./state";
import { whereWords } from "./words";

/** A token that the model might have said. */
interface Alternative extends Named {
  readonly probability: number;
}

/** The line over the current target. */
export interface Picker {
  readonly element: HTMLElement;
  update(data: AttributionData): void;
}

const MOST = 10;
/** Stands for a token that nobody has chosen. */
const OPEN = "";

export function createPicker(
  host: Host<AttributionState>,
  signal: AbortSignal,
  step: (by: 1 | -1) => void,
): Picker {
  let shown: AttributionData | null = null;
  const known = createQuestion(host, signal, {
    name: "top_k",
    read({ result, arrays }, _: { position: number; k: number }): Alternative[] | null {
      const { tokens, ids } = result;
      if (!Array.isArray(tokens) || !Array.isArray(ids)) return null;
      const probability = (i: number): number => arrays.probability?.values[i] ?? Number.NaN;
      return tokens.map((text, i) => ({
        ...{ text: String(text), id: Number(ids[i]), probability: probability(i) },
      }));
    },
    onReply: () => shown && update(shown),
  });
  const idOf = (value: string): number | null => (value === OPEN ? null : Number(value));
  const token = choice("Token that is explained", "token", (value) =>
    host.set({ token: idOf(value) }),
  );
  const against = choice("Token that it is compared with", "against", (value) =>
    host.set({ against: idOf(value) }),
  );
  const where = h("span", { class: "gh-caption as-where" });
  const stepper = (by: 1 | -1): HTMLButtonElement =>
    button(
      "gh-button gh-step",
      () => step(by),
      {
        aria: { label: by < 0 ? "Ask about the token before" : "Ask about the next token" },
        data: { action: by < 0 ? "target-previous" : "target-next" },
      },
      by < 0 ? "‹" : "›",
    );
  const [back, on] = [stepper(-1), stepper(1)];
  const keep = button(
    "gh-button",
    () => {
      if (shown) host.set({ targets: toggled(host.state.targets, shown.current.position) });
    },
    { data: { action: "keep" } },
    "Keep",
  );
  const update = (data: AttributionData): void => {
    shown = data;
    const { current, frame } = data;
    const canAsk = host.can?.("top_k") !== false && host.status !== "no kernel";
    const args = { position: current.position, k: MOST };
    if (canAsk) known.ask(args);
    const offered = known.value(args) ?? [];
    const off = !canAsk || isFixed(host, "token", "against");
    token.update(tokenOptions(data, offered), frame.key.token === null ? null : current.token, off);
    const others = offered.filter(({ id }) => id !== current.token.id);
    against.update(againstOptions(data, others), current.against, off);
    where.textContent = whereWords(data, current);
    const [first, last] = frame.places;
    const still = isFixed(host, "position") || host.can?.("target") === false;
    disable(back, still || current.place <= first);
    disable(on, still || current.place >= last);
    const { targets } = host.state;
    const isKept = targets.includes(current.position);
    // Kept are tokens as they came.
    const isOther = frame.key.token !== null || frame.key.against !== null;
    mark(keep, "aria-pressed", String(isKept));
    mark(keep, "title", isOther ? "Only what came can be kept" : "Stays when another is asked");
    const alone = host.can?.("attribution") === false || isFixed(host, "targets");
    disable(keep, alone || (isOther && !isKept));
  };
  const parts = [
    ...[h("b", {}, "Why"), token.element, h("span", {}, "and not"), against.element, where],
    ...[h("span", { class: "gh-stepper" }, back, on), keep],
  ];
  return { element: h("div", { class: "as-question" }, ...parts), update };
}

type Option = readonly [value: string, label: string];

/** A list of tokens. */
function choice(label: string, action: string, onChange: (value: string) => void) {
  let written = "";
  const element = h("select", {
    class: "gh-select as-token",
    aria: { label },
    data: { action },
    on: { change: () => onChange(element.value) },
  });
  return {
    element,
    update(options: readonly Option[], chosen: Named | null, disabled: boolean): void {
      const names = JSON.stringify(options);
      if (names !== written) {
        written = names;
        fill(element, ...options.map(([value, text]) => h("option", { attrs: { value } }, text)));
      }
      const value = chosen ? String(chosen.id) : OPEN;
      if (element.value !== value) element.value = value;
      if (element.disabled !== disabled) element.disabled = disabled;
    },
  };
}

function option({ id, text, probability }: Alternative): Option {
  return [String(id), `${quote(text)} ${percent(probability)}`];
}

/** What came comes first; then what the model might have said, and what was chosen of neither. */
function tokenOptions({ current, frame, asked }: AttributionData, offered: readonly Alternative[]) {
  const isOpen = frame.key.token === null;
  const { texts } = asked.input;
  const there = texts[current.place];
  const open = isOpen ? quote(current.token.text) : there === undefined ? "" : quote(there);
  const why = there === undefined ? "most probable" : "it came";
  const options: Option[] = [[OPEN, open ? `${open} (${why})` : "the most probable"]];
  const others = offered.filter(({ id }) => !(isOpen && id === current.token.id));
  options.push(...others.map(option));
  return withChosen(options, isOpen ? null : current.token);
}

function againstOptions({ current }: AttributionData, offered: readonly Alternative[]) {
  const options: Option[] = [[OPEN, "any other"], ...offered.map(option)];
  return withChosen(options, current.against);
}

function withChosen(options: readonly Option[], chosen: Named | null): readonly Option[] {
  if (!chosen || options.some(([value]) => value === String(chosen.id))) return options;
  return [...options, [String(chosen.id), quote(chosen.text)]];
}
