import { describe, expect, test } from "vitest";
import { addCurve, descent, type Geometry, layout } from "../../js/attention_lines/geometry";
import { outOfView } from "../../js/attention_lines/headings";
import type { Fan } from "../../js/attention_lines/lines";

function geometry(more: Partial<Geometry> = {}): Geometry {
  const columns = layout(900, 400, { query: 60, key: 60 });
  return { ...columns, height: 400, rowHeight: 20, scroll: 0, tracks: [0], ...more };
}

describe("columns", () => {
  test("a short text has its columns close together, a tall one farther apart", () => {
    const between = (height: number): number => {
      const { x0, x1 } = layout(900, height, { query: 60, key: 60 });
      return x1 - x0;
    };
    expect(between(100)).toBeLessThan(200);
    expect(between(640)).toBeGreaterThan(between(100));
    expect(between(640)).toBeLessThan(340);
  });

  test("a column with short labels leaves its room to the other", () => {
    const { queryWidth, keyWidth } = layout(568, 286, { query: 190, key: 60 });
    expect(queryWidth).toBe(190);
    expect(keyWidth).toBe(60);
  });

  test.each([280, 388, 568, 900, 1600])("all is inside a width of %i", (width) => {
    const { queryX, lane, keyX, keyWidth, x0, x1 } = layout(width, 640, { query: 300, key: 300 });
    expect(queryX).toBeGreaterThanOrEqual(lane - 1);
    expect(keyX + keyWidth + lane).toBeLessThanOrEqual(width + 1);
    expect(x1 - x0).toBeGreaterThan(50);
  });
});

test("the pointer finds a line where it is drawn", () => {
  const place = geometry();
  const { x0, x1 } = place;
  const points: number[] = [];
  const path = {
    moveTo: (...at: number[]) => points.push(...at),
    bezierCurveTo: (...at: number[]) => points.push(...at),
  };
  addCurve(path as unknown as Path2D, place, 10, 310);
  const at = (s: number, axis: 0 | 1): number => {
    const [a = 0, b = 0, c = 0, d = 0] = [0, 2, 4, 6].map((i) => points[i + axis]);
    const rest = 1 - s;
    return a * rest ** 3 + 3 * b * s * rest ** 2 + 3 * c * s ** 2 * rest + d * s ** 3;
  };
  for (const s of [0, 0.2, 0.5, 0.9, 1]) {
    expect(at(s, 0)).toBeCloseTo(x0 + s * (x1 - x0));
    expect(10 + 300 * descent(place, at(s, 0))).toBeCloseTo(at(s, 1));
  }
});

test("strong tokens that are scrolled out of view are counted", () => {
  const weights = new Float32Array(60);
  weights.set([0.3, 0.2, 0.01], 0);
  weights[15] = 0.3;
  weights[50] = 0.19;
  const fan: Fan = { side: "query", unit: 55, heads: [0], weights, n: 60, exact: true };
  expect(outOfView(geometry({ scroll: 200 }), fan)).toEqual({ above: 2, below: 1 });
  expect(outOfView(geometry({ scroll: 0, height: 1200 }), fan)).toEqual({ above: 0, below: 0 });
});
