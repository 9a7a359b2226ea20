/** Another word at one place: the model goes on from there, and there is a way back. */

import { button, disable, fill, h, hide } from "../shared/dom";
import { type Host, isAbort, whyNoKernel } from "../shared/host/host";
import type { Shell } from "../shared/shell";
import { quote } from "../shared/token_text";
import type { StripState } from "./state";

export interface Continuation {
  /** What the model was made to go on from, and the way back; stands above the text. */
  readonly element: HTMLElement;
  update(state: Readonly<StripState>): void;
  /** Whether there is a model that writes on. */
  can(): boolean;
  /** Puts another token at a place. */
  from(position: number, id: number): void;
}

export function createContinuation(host: Host<StripState>, shell: Shell): Continuation {
  const words = h("span", { class: "gh-strip-continued-words" });
  const ask = (question: string, args: Record<string, unknown>): void => {
    isOurs = true;
    host.ask(question, args, shell.signal).catch((error: unknown) => {
      if (!isAbort(error)) shell.setStatus(error instanceof Error ? error.message : String(error));
    });
  };
  const back = button(
    "gh-button",
    () => ask("step_back", {}),
    { data: { action: "step-back" } },
    "Back",
  );
  const element = h("div", { class: "gh-strip-continued", attrs: { hidden: true } }, words, back);
  /** Whether it was asked for on this page: then the focus goes along. */
  let isOurs = false;
  let steps = 0;
  const isThere = host.can?.("continue_with") !== false;
  const mark = (): void => {
    const isGone = host.status === "no kernel";
    disable(back, isGone);
    back.title = isGone ? whyNoKernel(host) : "Show again what was shown before";
  };
  return {
    element,
    update(state) {
      // A page that was saved before there was this has none.
      const continued = state.continued ?? [];
      const last = continued.at(-1);
      const isNew = continued.length !== steps;
      steps = continued.length;
      hide(element, !last);
      hide(back, !isThere);
      mark();
      // The word that was pressed is gone with the text that it was of.
      if (isNew && isOurs) (last ? back : shell.root).focus();
      if (isNew) isOurs = false;
      if (!last) return;
      const times = continued.length > 1 ? `, the ${ordinal(continued.length)} time` : "";
      fill(
        words,
        "The model goes on from ",
        h("bdi", { attrs: { dir: "auto" } }, quote(last.token)),
        ` at token ${last.position}${times}.`,
      );
    },
    can: () => isThere && host.status !== "no kernel" && host.state.scene.family !== "encoder",
    from: (position, token) => ask("continue_with", { position, token }),
  };
}

function ordinal(n: number): string {
  return ["zeroth", "first", "second", "third", "fourth", "fifth"][n] ?? `${n}th`;
}
