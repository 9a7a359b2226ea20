import { expect, test } from "vitest";
import { formatValue } from "../../js/layer_stats_chart/scales";
import {
  approximately,
  endOf,
  formatAmount,
  formatSum,
  formatWeight,
  percent,
  roundUp,
} from "../../js/shared/numbers";

test("a share is 100 % only when it is all, and 0 % only when it is nothing", () => {
  expect(percent(1)).toBe("100 %");
  expect(percent(0.9966)).toBe("99.7 %");
  expect(percent(0.99951)).toBe("> 99.9 %");
  expect(percent(1 - 1e-9)).toBe("> 99.9 %");
  expect(percent(0.839)).toBe("83.9 %");
  expect(percent(0.00995)).toBe("1.0 %");
  expect(percent(0.0042)).toBe("0.42 %");
  expect(percent(0.00004)).toBe("< 0.01 %");
  expect(percent(0)).toBe("0 %");
});

test("a weight is 1 or 0 only when it is that", () => {
  expect(formatWeight(1)).toBe("1");
  // Sums of floats that are 1: a word's tokens, or heads.
  expect(formatWeight(1 + 2 ** -22)).toBe("1");
  expect(formatWeight(Math.fround(1 - 2 ** -23))).toBe("1");
  expect(formatWeight(0.9966)).toBe("0.997");
  expect(formatWeight(0.99961)).toBe("> 0.999");
  expect(formatWeight(1 - 2e-6)).toBe("> 0.999");
  expect(formatWeight(0.4149)).toBe("0.41");
  expect(formatWeight(0.0149)).toBe("0.015");
  expect(formatWeight(0.0004)).toBe("< 0.001");
  expect(formatWeight(0)).toBe("0");
  expect(formatWeight(0.99996, 4)).toBe("> 0.9999");
  expect(formatWeight(0.41234, 4)).toBe("0.4123");
});

test("an amount is 0, or its least, only when it is that", () => {
  expect(formatAmount(0.811)).toBe("0.81");
  expect(formatAmount(0.004)).toBe("< 0.01");
  expect(formatAmount(0)).toBe("0");
  expect(formatAmount(0.9999)).toBe("1.00");
  expect(formatAmount(1.0000018, 2, 1)).toBe("> 1");
  expect(formatAmount(1, 2, 1)).toBe("1.00");
});

test("a row's sum is 1 but for the rounding of floats, or it is said to be less", () => {
  expect(formatSum(0.9999995)).toBe("1");
  expect(formatSum(0.9998)).toBe("> 0.999");
  expect(formatSum(0.615)).toBe("0.615");
  expect(formatSum(1.0002)).toBe("> 1");
});

test("what is written of a rounded weight holds for the true one", () => {
  for (const [value, error] of [
    [0.4124, 0.00196],
    [0.75, 0.75 / 510],
    [0.0004, 0.001],
  ] as const) {
    const [middle = 0, within = 0] =
      approximately(value, error)
        .match(/[\d.]+/g)
        ?.map(Number) ?? [];
    expect(middle - within).toBeLessThanOrEqual(value - error + 1e-9);
    expect(middle + within).toBeGreaterThanOrEqual(value + error - 1e-9);
  }
});

test("upper ends are rounded up", () => {
  expect([endOf(4.34), endOf(0.0121), endOf(12.2), endOf(0), endOf(1)]).toEqual([
    ...["4.4", "0.013", "13", "0", "1"],
  ]);
  expect([endOf(11.83, 3), endOf(95, 3), endOf(58376, 3)]).toEqual(["11.9", "95", "58,400"]);
  expect(endOf(Math.fround(0.62))).toBe("0.62");
  expect(roundUp(0.4141, 3)).toBe("0.415");
});

test("a chart's numbers do not become 1 by rounding", () => {
  expect([formatValue(0.99962), formatValue(-0.99996), formatValue(0.9966)]).toEqual([
    ...["0.9996", "−0.99996", "0.997"],
  ]);
  expect([formatValue(1), formatValue(1.0004), formatValue(0)]).toEqual(["1", "1.0004", "0"]);
});
