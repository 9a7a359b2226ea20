import { describe, expect, test } from "vitest";
import { decode, decodeHalf } from "../../js/shared/arrays";

import {
  deltaE,
  headColour,
  headPalette,
  type Rgb,
  rgbToLab,
  sequentialTable,
  tableColour,
} from "../../js/shared/palette";
import { toggleHead } from "../../js/shared/scene";
import { detectTheme } from "../../js/shared/theme";
import { quote, show, showPlain } from "../../js/shared/token_text";

describe("packed arrays", () => {
  test("half precision: powers, fractions, subnormals, infinity, NaN", () => {
    expect(decodeHalf(0x3c00)).toBe(1);
    expect(decodeHalf(0xc000)).toBe(-2);
    expect(decodeHalf(0x3555)).toBeCloseTo(1 / 3, 3);
    expect(decodeHalf(0x0001)).toBe(2 ** -24);
    expect(decodeHalf(0x7bff)).toBe(65504);
    expect(decodeHalf(0xfc00)).toBe(Number.NEGATIVE_INFINITY);
    expect(decodeHalf(0x7e00)).toBeNaN();
  });

  test("a view into the middle of a buffer is read from its own offset, aligned or not", () => {
    const bytes = new Uint8Array(12);
    const whole = new DataView(bytes.buffer);
    whole.setFloat32(3, 0.25, true);
    whole.setFloat32(7, -8, true);
    const odd = new DataView(bytes.buffer, 3, 8);
    expect(Array.from(decode("float32", odd))).toEqual([0.25, -8]);
    expect(Array.from(decode("uint8", new Uint8Array(bytes.buffer, 3, 1)))).toEqual([0]);
    expect(Array.from(decode("float16", new Uint16Array([0x3c00, 0x4000])))).toEqual([1, 2]);
  });
});

describe("colours", () => {
  test.each(["light", "dark"] as const)(
    "64 heads have 64 colours that can be told apart (%s)",
    (theme) => {
      const palette = headPalette(theme);
      let nearest = Number.POSITIVE_INFINITY;
      for (const [i, one] of palette.entries()) {
        for (const other of palette.slice(0, i)) nearest = Math.min(nearest, deltaE(one, other));
      }
      expect(palette).toHaveLength(64);
      expect(nearest).toBeGreaterThan(6);
    },
  );

  test.each([
    ["light", [255, 255, 255]],
    ["dark", [17, 17, 17]],
  ] as const)("every head colour stands off the %s paper", (theme, paper) => {
    const lightness = (rgb: Rgb): number => rgbToLab(rgb)[0];
    for (const colour of headPalette(theme)) {
      expect(Math.abs(lightness(colour) - lightness(paper))).toBeGreaterThan(0.12);
    }
  });

  test("a head keeps its colour however many heads the layer has", () => {
    expect(headColour(3, 4, "light")).toEqual(headColour(3, 64, "light"));
  });

  test.each(["attention", "surprisal"] as const)(
    "the %s table starts at the paper and climbs in equal steps",
    (name) => {
      for (const theme of ["light", "dark"] as const) {
        const paper: Rgb = theme === "light" ? [250, 250, 245] : [30, 30, 30];
        const table = sequentialTable(name, theme, paper);
        expect(deltaE(tableColour(table, 0), paper)).toBeLessThan(1);
        const steps = Array.from({ length: 16 }, (_, i) =>
          deltaE(tableColour(table, i / 16), tableColour(table, (i + 1) / 16)),
        );
        expect(Math.max(...steps) / Math.min(...steps)).toBeLessThan(1.5);
        const lightness = Array.from(
          { length: 17 },
          (_, i) => rgbToLab(tableColour(table, i / 16))[0],
        );
        const rising = theme === "dark" ? lightness : lightness.reverse();
        for (let i = 1; i < rising.length; i++) {
          expect(rising[i]).toBeGreaterThan(rising[i - 1] ?? 0);
        }
      }
    },
  );
});

describe("token text", () => {
  test("white space and control characters become visible marks", () => {
    const holder = document.createElement("div");
    holder.append(show(" the\n\u202e"));
    expect(holder.textContent).toBe("·the⏎⟨202E⟩");
    expect(holder.querySelectorAll(".gh-mark")).toHaveLength(3);
    expect(showPlain("")).toBe("∅");
  });

  test("markup stays text", () => {
    const holder = document.createElement("div");
    holder.append(show("<b onclick=x>hi</b>"));
    expect(holder.querySelector("b")).toBeNull();
    expect(holder.textContent).toBe("<b·onclick=x>hi</b>");
  });

  test("quotes cut long tokens and keep right-to-left ones from turning the sentence", () => {
    expect(quote(" cat")).toBe("‘\u2068cat\u2069’");
    expect(quote("antidisestablishmentarianism", 8)).toBe("‘\u2068antidis…\u2069’");
  });
});

test("turning heads on and off: all on, or none left, is written as all", () => {
  expect(toggleHead([], 2, 4)).toEqual([0, 1, 3]);
  expect(toggleHead([0, 1, 3], 2, 4)).toEqual([]);
  expect(toggleHead([2], 2, 4)).toEqual([]);
});

test("the theme trait decides, then JupyterLab, then the page", () => {
  const root = document.body.appendChild(document.createElement("div"));
  document.body.setAttribute("data-jp-theme-light", "false");
  expect(detectTheme(root, "auto")).toBe("dark");
  expect(detectTheme(root, "light")).toBe("light");
  document.body.removeAttribute("data-jp-theme-light");
  document.body.style.backgroundColor = "rgb(20, 20, 20)";
  expect(detectTheme(root, "auto")).toBe("dark");
  document.body.style.backgroundColor = "";
  root.remove();
});
