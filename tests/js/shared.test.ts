import { describe, expect, test } from "vitest";
import { decode, decodeHalf } from "../../js/shared/arrays";

import {
  deltaE,
  headColours,
  luminance,
  type Rgb,
  rgbToLab,
  sequentialTable,
  tableColour,
} from "../../js/shared/palette";
import { headAlone, toggleHead } from "../../js/shared/scene";
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

const THEMES = ["light", "dark"] as const;

// Protanopia and deuteranopia on linear RGB: Machado, Oliveira & Fernandes 2009, severity 1.
const DEFICIENT = [
  [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
];

/** A colour as an eye with that matrix sees it (sRGB transfer function: IEC 61966-2-1). */
function as(rows: readonly number[], rgb: Rgb): Rgb {
  const linear = rgb.map((c) => (c <= 10.31475 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  const [r = 0, g = 0, b = 0] = [0, 3, 6].map((row) => {
    const sum = linear.reduce((total, c, i) => total + c * (rows[row + i] ?? 0), 0);
    const c = Math.min(1, Math.max(0, sum));
    return 255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);
  });
  return [r, g, b];
}

describe("colours", () => {
  test.each(THEMES)(
    "six heads are told apart with any colour vision, and further ink (%s)",
    (theme) => {
      const palette = headColours([0, 1, 2, 3, 4, 5, 6], theme);
      for (const seen of [
        palette,
        ...DEFICIENT.map((rows) => palette.map((rgb) => as(rows, rgb))),
      ]) {
        for (const [i, one] of seen.entries()) {
          for (const other of seen.slice(0, i))
            expect(deltaE(one, other)).toBeGreaterThanOrEqual(10);
        }
      }
    },
  );

  test.each([
    ["light", [245, 246, 247]],
    ["dark", [30, 32, 35]],
  ] as const)(
    "every head colour has three to one on %s paper, raised paper too",
    (theme, paper) => {
      for (const colour of headColours([0, 1, 2, 3, 4, 5, 6], theme)) {
        const [low = 0, high = 0] = [luminance(colour), luminance(paper)].sort((a, b) => a - b);
        expect((high + 0.05) / (low + 0.05)).toBeGreaterThanOrEqual(3);
      }
    },
  );

  test("a head has the colour of its number, and no two have the same", () => {
    const [first, third] = [headColours([0], "light")[0], headColours([2], "light")[0]];
    expect(headColours([0, 2], "light")).toEqual([first, third]);
    const clash = headColours([2, 8, 14], "light");
    expect(clash[0]).toEqual(third);
    expect(new Set(clash.map(String)).size).toBe(3);
  });

  test("from the seventh on heads are ink", () => {
    const colours = headColours([1, 2, 3, 4, 5, 6, 7, 8, 9], "dark");
    expect(new Set(colours.slice(0, 6).map(String)).size).toBe(6);
    expect(new Set(colours.slice(6).map(String)).size).toBe(1);
    expect(colours.slice(0, 6)).not.toContainEqual(colours[6]);
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

  test("the spaces between the bytes of a split character are no text", () => {
    const holder = document.createElement("div");
    holder.append(show(" ⟨F0 9F⟩ "));
    expect(holder.textContent).toBe("·⟨F0 9F⟩·");
    expect(showPlain(" ⟨F0 9F⟩ ")).toBe("·⟨F0 9F⟩·");
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

test("a head alone, and again all of them", () => {
  expect(headAlone([], 2, 4)).toEqual([2]);
  expect(headAlone([0, 2], 2, 4)).toEqual([2]);
  expect(headAlone([2], 2, 4)).toEqual([]);
  expect(headAlone([], 0, 1)).toEqual([]);
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
