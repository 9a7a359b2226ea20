/** What is switched off, and what that changed, before whatever the pane in use says. */

import { type Child, h } from "../shared/dom";
import { hasFrame } from "../shared/state";
import type { Speaker } from "./panes";
import type { ExplorerFrame, ExplorerState } from "./state";

export interface WithoutWords extends Speaker {
  update(frame: ExplorerState["frame"]): void;
}

export function withoutWords(speaker: Speaker): WithoutWords {
  let shown = "";
  let lead = (): Child[] => [];
  let words: readonly Child[] = [];
  const speak = (): void => speaker.setStatus(...lead(), ...words);
  return {
    setStatus(...next) {
      words = next;
      speak();
    },
    announce: (next) => speaker.announce(next),
    update(frame) {
      const without = hasFrame(frame) ? frame.without : undefined;
      const next = without ? [without.words, without.change].filter(Boolean).join(": ") : "";
      if (next === shown) return;
      shown = next;
      lead = () => (without ? leadNodes(without) : []);
      speak();
      speaker.announce(next || "All heads are on.");
    },
  };
}

/** What is written in another direction stays within its own part of the line. */
function leadNodes({ words, change }: NonNullable<ExplorerFrame["without"]>): Child[] {
  const changed = change && [": ", h("bdi", {}, change)];
  return [h("b", { class: "ex-without" }, words), ...(changed || []), ". "];
}
