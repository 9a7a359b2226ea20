/** Words that are alike are told apart, by the same number in every view. */

import { describe, expect, test } from "vitest";
import { labelNodes, labelText, rowName, unitName } from "../../js/shared/map/axis";
import { tokenName } from "../../js/shared/names";
import type { Axis } from "../../js/shared/state";
import { axis, pack } from "./fake_host";

const TOKENS = ["The", " cat", ",", " it", " sat", ",", "it"];
const bare = (name: string): string => name.replace(/[\u2068\u2069]/g, "");
const label = (of: Axis, unit: number): string => {
  const element = document.createElement("div");
  element.append(...(labelNodes(of, unit).filter(Boolean) as Node[]));
  return element.textContent ?? "";
};

describe("words that are alike", () => {
  test("have the position of their first token in sentences, others have none", () => {
    const of = axis(TOKENS);
    expect([0, 3, 6].map((unit) => bare(unitName(of, unit)))).toEqual(["‘The’", "‘it₃’", "‘it₆’"]);
    expect(bare(unitName(of, 2))).toBe("‘,’₂");
    expect(bare(rowName(of, 3))).toBe("‘it₃’");
  });

  test("have the same number as words, as tokens and as tokens of the other views", () => {
    // "The cat it is it": five words over seven tokens, "is" being two, "cat" two.
    const words = axis(["The", " cat", " it", " is", " it"], {
      unit_of_token: pack([0, 1, 1, 2, 3, 3, 4], "uint32"),
    });
    const tokens = ["The", " c", "at", " it", " i", "s", " it"];
    expect([2, 4].map((unit) => bare(unitName(words, unit)))).toEqual(["‘it₃’", "‘it₆’"]);
    expect([3, 6].map((unit) => bare(unitName(axis(tokens), unit)))).toEqual(["‘it₃’", "‘it₆’"]);
    expect([3, 6].map((position) => bare(tokenName(tokens, position)))).toEqual(["‘it₃’", "‘it₆’"]);
  });

  test("have it in their labels too, commas only in sentences", () => {
    const of = axis(TOKENS);
    expect([0, 2, 3, 6].map((unit) => label(of, unit))).toEqual(["The", ",", "·it₃", "it₆"]);
    expect(labelText(of, 3)).toBe("·it₃");
  });

  test("have it beside the input where rows predict; a word that several predict has its row", () => {
    const rows = axis(["<pad>", "le", "chat", "le"], {
      predicted: ["le", "chat", "le", "lit"],
      emphasis: "predicted",
    });
    expect(bare(rowName(rows, 3))).toBe("‘le₃’ → ‘lit’");
    expect(bare(unitName(rows, 1))).toBe("‘chat’");
    expect(bare(unitName(rows, 2))).toBe("‘chat’ → ‘le’");
    expect(label(rows, 1)).toBe("le₁→chat");
  });
});
