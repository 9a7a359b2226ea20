import { describe, expect, test } from "vitest";
import { plan } from "../../js/attention_lines/cells";
import type { Fan } from "../../js/attention_lines/fan";
import {
  addCurve,
  descent,
  evenTrack,
  type Geometry,
  layout,
  measuredTrack,
  unitsInView,
} from "../../js/attention_lines/geometry";
import { outOfView } from "../../js/attention_lines/headings";

const WISHES = { labels: { query: 60, key: 60 }, heads: 9, gutter: true, minimap: true };

function geometry(more: Partial<Geometry> = {}): Geometry {
  const track = evenTrack(60, 20);
  return {
    ...layout(900, WISHES),
    ...{ horizontal: false, height: 400, scroll: 0, query: track, key: track, tracks: [0] },
    ...more,
  };
}

describe("columns", () => {
  test("lines get all the width that labels, values and the small picture leave", () => {
    const between = (width: number): number => {
      const { x0, x1 } = layout(width, WISHES);
      return x1 - x0;
    };
    expect(between(1600)).toBeGreaterThan(between(900) + 500);
    const { x1, keyX, keyWidth, keyLane, minimap, width } = layout(1600, WISHES);
    expect(width - (keyX + keyWidth + keyLane + minimap)).toBeLessThan(10);
    expect(keyX - x1).toBeLessThan(10);
  });

  test("a column with short labels leaves its room to the other", () => {
    const { queryWidth, keyWidth } = layout(820, { ...WISHES, labels: { query: 190, key: 60 } });
    expect(queryWidth).toBe(190);
    expect(keyWidth).toBe(60);
  });

  test.each([280, 388, 568, 900, 1600])("all is inside a width of %i", (width) => {
    const parts = layout(width, { ...WISHES, labels: { query: 300, key: 300 } });
    const { queryX, queryLane, keyX, keyWidth, keyLane, x0, x1 } = parts;
    expect(queryX).toBeGreaterThanOrEqual(queryLane);
    expect(keyX + keyWidth + keyLane).toBeLessThanOrEqual(width);
    expect(x1 - x0).toBeGreaterThan(40);
  });
});

test("units of any size are found where they are", () => {
  const track = measuredTrack([30, 10, 60]);
  expect([0, 29, 30, 39, 40, 99, 100, -1].map((place) => track.unitAt(place))).toEqual([
    0, 0, 1, 1, 2, 2, 3, -1,
  ]);
  expect([track.start(2), track.size(2), track.total]).toEqual([40, 60, 100]);
  const place = geometry({ query: track, height: 35, scroll: 20 });
  expect(unitsInView(place, "query")).toEqual([0, 3]);
});

test("every pin keeps its values, and each head has a column where there is room", () => {
  const fan = (unit: number, heads: number): Fan => {
    const weights = new Float32Array(heads);
    const numbers = Array.from({ length: heads }, (_, head) => head);
    return { side: "query", unit, heads: numbers, weights, drawn: weights, n: 1, exact: true };
  };
  const pins = [fan(1, 9), fan(2, 9), fan(3, 9)];
  const wide = plan(330, pins, "query");
  expect(wide.values.map(({ fan: { unit } }) => unit)).toEqual([1, 2, 3]);
  expect(wide.cells?.fan.unit).toBe(3);
  const narrow = plan(64, pins, "query");
  expect(narrow.values.map(({ fan: { unit } }) => unit)).toEqual([3]);
  expect(narrow.cells).toBeNull();
  expect(plan(330, [fan(1, 1)], "query").cells).toBeNull();
  expect(plan(330, pins, "key").values).toEqual([]);
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
  const of = (more: Partial<Geometry>) => outOfView(geometry(more), "key", weights);
  expect(of({ scroll: 200 })).toEqual({ above: 2, below: 1 });
  expect(of({ scroll: 0, height: 1200 })).toEqual({ above: 0, below: 0 });
});
