import { beforeEach, describe, expect, test, vi } from "vitest";
import { queryKeyData } from "../../js/query_key_view/data";
import { columnAt, layoutOf } from "../../js/query_key_view/layout";
import type { Cells } from "../../js/query_key_view/products";
import type { QueryKeyFrame, QueryKeyState } from "../../js/query_key_view/state";
import { stepsOf } from "../../js/query_key_view/steps";
import { QueryKeyViewView } from "../../js/query_key_view/view";
import { isStale } from "../../js/shared/banners";
import type { Answer } from "../../js/shared/host/host";
import { exact, short, signed } from "../../js/shared/signed_numbers";
import {
  type Asked,
  axis,
  common,
  FakeHost,
  find,
  floats,
  pack,
  press,
  selfAxes,
  settle,
} from "./fake_host";

const TOKENS = ["the", " cat", " sat", " on", " it"];
const N = TOKENS.length;
const DIMS = 4;
const SCALING = 0.5;
/** Query of each head, and the numbers of key k: k + 1, −k, 1, 0. */
const QUERIES = [
  [2, 1, -1, 4],
  [1, 0, 3, -2],
];
const keyOf = (key: number): number[] => [key + 1, -key, 1, 0];
const productsOf = (lane: number, key: number): number[] =>
  keyOf(key).map((value, dim) => SCALING * value * (QUERIES[lane]?.[dim] ?? 0));
const sum = (values: number[]): number => values.reduce((so, one) => so + one, 0);

interface Shape {
  lanes?: number[];
  nKeys?: number;
  start?: number;
  stop?: number;
  query?: number;
}

/** A frame of made-up numbers, of exactly the form that Python sends. */
function frame(
  { lanes = [0], nKeys = N, start = 0, stop = nKeys, query = N - 2 }: Shape = {},
  more: Partial<QueryKeyFrame> = {},
): QueryKeyFrame {
  const keys = Array.from({ length: nKeys }, (_, key) => key);
  const inside = keys.slice(start, stop);
  const of = (values: (lane: number, key: number) => number) =>
    pack(
      lanes.flatMap((lane) => keys.map((key) => values(lane, key))),
      "float32",
      [lanes.length, nKeys],
    );
  const dot = (lane: number, key: number): number => sum(productsOf(lane, key));
  const score = (lane: number, key: number): number => (key > query ? -Infinity : dot(lane, key));
  const total = (lane: number): number => sum(keys.map((key) => Math.exp(score(lane, key))));
  const shape = [lanes.length, inside.length, DIMS];
  return {
    kind: "query_key",
    key: { kind: "self", layer: 1, heads: lanes, query },
    heads: lanes,
    n_keys: nKeys,
    ...{ dimensions: DIMS, scaling: SCALING, softcap: null },
    order: pack(
      lanes.flatMap(() => [1, 0, 2, 3]),
      "uint8",
      [lanes.length, DIMS],
    ),
    query_vector: pack(
      lanes.flatMap((lane) => QUERIES[lane] ?? []),
      "float32",
      [lanes.length, DIMS],
    ),
    dot: of(dot),
    ...{ capped: null, bias: null, bias_words: "" },
    score: of(score),
    weight: of((lane, key) => Math.exp(score(lane, key)) / total(lane)),
    sink: null,
    bound: pack(
      lanes.map(() => 4),
      "float32",
    ),
    ...{ start, stop },
    products: pack(
      lanes.flatMap((lane) => inside.flatMap((key) => productsOf(lane, key))),
      "float32",
      shape,
    ),
    keys_vectors: pack(
      lanes.flatMap(() => inside.flatMap(keyOf)),
      "float32",
      shape,
    ),
    note: "",
    ...more,
  };
}

function mount(
  more: Partial<QueryKeyState> = {},
  answer: (asked: Asked) => Answer | null = () => null,
) {
  const state: QueryKeyState = {
    ...common(selfAxes(TOKENS), 2),
    ...{ query: N - 2, key: null, sort: "dimension", rows: "text" },
    heads: [0],
    frame: frame(),
    ...more,
  };
  const host = new FakeHost<QueryKeyState>(state, answer);
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  // jsdom lays nothing out: the page is this wide, and high.
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(900);
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(400);
  host.view = new QueryKeyViewView(el, host);
  const grid = find(el, ".qk-grid");
  const row = (key: number): HTMLElement => find(el, `.qk-rows [data-key="${key}"]`);
  return {
    ...{ host, el, grid, row },
    keys: (): number[] =>
      [...el.querySelectorAll<HTMLElement>(".qk-rows .qk-row")].map((one) =>
        Number(one.dataset.key),
      ),
    status: (): string => find(el, ".gh-status").textContent?.replace(/[\u2068\u2069]/g, "") ?? "",
    step: (kind: string): HTMLElement => find(el, `.qk-step[data-step="${kind}"]`),
    at: (): string => grid.getAttribute("aria-activedescendant") ?? "",
  };
}

beforeEach(() => {
  vi.restoreAllMocks();
});

test("the Python behind the picture is shown while it is asked for", async () => {
  const { el, host } = mount({}, ({ question }) =>
    question === "written" ? { result: { code: "trace.query_key(0, 3)" }, arrays: {} } : null,
  );
  find(el, '[data-action="code"]').click();
  await settle();
  expect(find(el, ".gh-code code").textContent).toBe("trace.query_key(0, 3)");
  host.set({ sort: "largest" });
  expect(host.asked.filter(({ question }) => question === "written")).toHaveLength(2);
});

describe("how a score comes about", () => {
  const cells: Cells = { product: (_, dim) => [3, -1, 0.5, 0.25, -0.125][dim] ?? 0, key: () => 1 };
  const parts = { dot: 2.625, capped: null, bias: null, score: 2.625, weight: 0.5 };
  const of = { lane: 0, dims: 5 };

  test("goes up by the largest products, down by the negative ones, and ends at the score", () => {
    const steps = stepsOf(parts, cells, { ...of, most: 3 });
    expect(steps.map(({ dim }) => dim)).toEqual([0, 2, 3, 1, 4, null]);
    expect(steps.at(-2)?.to).toBeCloseTo(2.625);
    expect(steps.at(-1)).toMatchObject({ kind: "score", from: 0, to: 2.625 });
  });

  test("counts the dimensions that have no line of their own, but never one alone", () => {
    const two = stepsOf(parts, cells, { ...of, most: 1 });
    expect(two.map(({ kind, dim, count }) => [kind, dim, count])).toEqual([
      ["up", 0, 1],
      ["up", null, 2],
      // The second that lowers takes no more room than the words that it is there.
      ["down", 1, 1],
      ["down", 4, 1],
      ["score", null, 0],
    ]);
    expect(two[1]?.value).toBeCloseTo(0.75);
  });

  test("has a soft-cap and a bias as steps of their own", () => {
    const capped = { dot: 2.625, capped: 2.5, bias: -0.5, score: 2, weight: 0.5 };
    const steps = stepsOf(capped, cells, { ...of, most: 9 }).slice(-4);
    expect(steps.map(({ kind, value }) => [kind, value])).toEqual([
      ["sum", 2.625],
      ["cap", -0.125],
      ["bias", -0.5],
      ["score", 2],
    ]);
    expect(steps[2]).toMatchObject({ from: 2.5, to: 2 });
  });
});

describe("numbers", () => {
  test("have their sign and three digits; what is not zero is not called so", () => {
    const written = [1.844, -0.0712, 14.04, 1234, 0.00002, 0, -Infinity, Number.NaN].map(signed);
    expect(written).toEqual(["+1.84", "−0.071", "+14.0", "+1234", "+2.0e−5", "0", "−∞", "–"]);
    expect([0.4567891, -12.34567, 0.00001234].map(exact)).toEqual(["0.4568", "−12.35", "1.234e−5"]);
    expect([0.123, -1.26, 12.7, 0.001].map(short)).toEqual(["+.12", "−1.3", "+13", ""]);
  });
});

describe("the columns", () => {
  test("are as wide as there is room for; of very many the largest product of several is drawn", () => {
    const data = queryKeyData(frame());
    const layout = layoutOf(data, 600, 80);
    expect(layout).toMatchObject({ perColumn: 1, nColumns: DIMS, columnWidth: 48 });
    expect(columnAt(layout, 100)).toBe(2);
    expect(columnAt(layout, 48 * 4 + 1)).toBeNull();
    const many = layoutOf({ ...data, dims: 256 }, 400, 80);
    expect(many.perColumn).toBeGreaterThan(1);
    expect(many.nColumns * many.perColumn).toBeGreaterThanOrEqual(256);
  });

  test("of a soft-cap and a bias are there only where the model has them", () => {
    const names = (of: QueryKeyFrame, width = 700): string[] =>
      layoutOf(queryKeyData(of), width, 80).numbers.map(({ part }) => part);
    expect(names(frame())).toEqual(["score", "weight"]);
    const more = { capped: frame().dot, softcap: 50, bias: frame().dot, bias_words: "ALiBi" };
    expect(names(frame({}, more))).toEqual(["dot", "capped", "bias", "score", "weight"]);
    expect(names(frame({}, more), 400)).toEqual(["score", "weight"]);
  });
});

describe("the rows", () => {
  test("say score and weight of every key, and that hidden ones may not be looked at", () => {
    const { row, keys } = mount();
    expect(keys()).toEqual([0, 1, 2, 3, 4]);
    expect(find(row(2), '[data-part="score"]').textContent).toBe(signed(sum(productsOf(0, 2))));
    expect(row(4).textContent).toContain("may not look");
    expect(row(4).querySelector('[data-part="score"]')).toBeNull();
  });

  test("come with the strongest first, hidden ones last", () => {
    const { host, keys } = mount();
    host.set({ rows: "strongest" });
    const scores = [0, 1, 2, 3].map((key) => sum(productsOf(0, key)));
    const expected = [0, 1, 2, 3].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
    expect(keys()).toEqual([...expected, 4]);
  });

  test("have a lane for every head", () => {
    const { host, row, el } = mount();
    host.set({ heads: [0, 1], frame: frame({ lanes: [0, 1] }) });
    expect(row(1).querySelectorAll('[data-part="score"]')).toHaveLength(2);
    expect([...row(1).querySelectorAll(".qk-mark")].map((one) => one.textContent)).toEqual([
      "0",
      "1",
    ]);
    expect(find(el, ".qk-card").dataset.head).toBe("0");
  });

  test("name the dimensions in their order", () => {
    const { host, el } = mount();
    const dims = (): (string | undefined)[] =>
      [...el.querySelectorAll<HTMLElement>(".qk-dims [data-dim]")].map((one) => one.dataset.dim);
    expect(dims()).toEqual(["0", "1", "2", "3"]);
    host.set({ sort: "largest" });
    expect(dims()).toEqual(["1", "0", "2", "3"]);
  });

  test("keep a token's text text", () => {
    const labels = ["<img src=x onerror=alert(1)>", ...TOKENS.slice(1)];
    const { el } = mount({ axes: selfAxes(labels) });
    expect(el.querySelector("img")).toBeNull();
    expect(find(el, '.qk-rows [data-key="0"]').textContent).toContain("<img");
  });
});

describe("the key that is looked at", () => {
  test("is the one with most weight, the one that is kept, the one that is pointed at", () => {
    const { host, el, grid } = mount();
    const card = find(el, ".qk-card");
    expect(card.dataset.key).toBe(String(queryKeyData(frame()).strongest(0)));
    host.set({ key: 1 });
    expect(card.dataset.key).toBe("1");
    expect(find(el, ".qk-card-why").textContent).toBe("kept");
    host.set({ hovered: 2 });
    expect(card.dataset.key).toBe("2");
    press(grid, "ArrowDown");
    expect(host.state.hovered).toBe(Number(card.dataset.key));
  });

  test("has its steps in numbers, and its three largest dimensions in a sentence", () => {
    const { host, step, status } = mount({ key: 3 });
    const [first = 0, second = 0] = productsOf(0, 3);
    expect(step("up").dataset.dim).toBe("0");
    expect(step("up").querySelector(".qk-step-value")?.textContent).toBe(signed(first));
    expect(step("down").querySelector(".qk-step-value")?.textContent).toBe(signed(second));
    expect(status()).toContain(`raised most by dimensions 0 (${signed(first)})`);
    expect(status()).toContain(`score ${signed(sum(productsOf(0, 3)))}`);
    host.set({ key: 4 });
    expect(status()).toContain("may not look at ‘it’");
  });

  test("says what a bias adds by the name that it has", () => {
    const bias = pack(Array(N).fill(-0.25), "float32", [1, N]);
    const { step, status } = mount({
      key: 1,
      frame: frame({}, { bias, bias_words: "ALiBi" }),
    });
    expect(step("bias").textContent).toBe("ALiBi−0.25");
    expect(status()).toContain("ALiBi adds −0.25");
  });

  test("says that a sink takes part", () => {
    const { status } = mount({
      frame: frame({}, { sink: pack([1.5], "float32"), note: "So it is." }),
    });
    expect(status()).toContain("with score 1.50 in head 0. So it is.");
  });
});

describe("what the user does", () => {
  test("a token that is pinned becomes the query; where others are looked at, the key", () => {
    const { host, row } = mount();
    find(row(1), ".gh-token").click();
    expect(host.state).toMatchObject({ selected: [1], query: 1 });
    find(row(1), ".gh-token").click();
    expect(host.state).toMatchObject({ selected: [], query: 1 });
    const axes = { ...selfAxes(TOKENS), key: axis(TOKENS, { sequence: "source" }) };
    const cross = mount({ axes });
    find(cross.row(2), ".gh-token").click();
    expect(cross.host.state).toMatchObject({ selected_source: [2], key: 2, query: N - 2 });
  });

  test("a click on products keeps their key, a second one lets it go", () => {
    const { host, row } = mount();
    find(row(2), ".qk-cells").click();
    expect(host.state.key).toBe(2);
    find(row(2), ".qk-cells").click();
    expect(host.state.key).toBeNull();
  });

  test("arrows move over keys and dimensions, Home and End to the ends, Escape lets go", () => {
    const { host, grid, el, at } = mount();
    press(grid, "Home");
    press(grid, "Home");
    expect(host.state.hovered).toBe(0);
    expect(at()).toBe(find(el, '.qk-rows [data-key="0"]').id);
    press(grid, "ArrowDown");
    expect(host.state.hovered).toBe(1);
    press(grid, "ArrowRight");
    press(grid, "ArrowRight");
    const live = (): string => find(el, ".gh-live").textContent ?? "";
    expect(live()).toContain("dimension 1");
    expect(live()).toContain(exact(productsOf(0, 1)[1] ?? 0));
    expect(find(el, ".gh-tooltip").hidden).toBe(false);
    press(grid, " ");
    expect(host.state.key).toBe(1);
    press(grid, "End");
    expect(host.state.hovered).toBe(N - 1);
    press(grid, "Escape");
    expect(host.state).toMatchObject({ hovered: null, key: null });
  });

  test("Enter pins, brackets step through layers, digits choose heads, the stepper the query", () => {
    const { host, grid, el } = mount();
    press(grid, "Home");
    press(grid, "Home");
    press(grid, "Enter");
    expect(host.state).toMatchObject({ selected: [0], query: 0 });
    press(grid, "]");
    expect(host.state.layer).toBe(2);
    press(grid, "1");
    expect(host.state.heads).toEqual([]);
    find(el, '[data-action="query-next"]').click();
    expect(host.state.query).toBe(1);
    find(el, '[data-action="query-previous"]').click();
    find(el, '[data-action="query-previous"]').click();
    expect(host.state.query).toBe(0);
  });

  test("arrows move over lanes before they move over keys", () => {
    const { grid, el } = mount({ heads: [0, 1], frame: frame({ lanes: [0, 1] }) });
    press(grid, "Home");
    press(grid, "Home");
    press(grid, "ArrowDown");
    const card = find(el, ".qk-card");
    expect([card.dataset.key, card.dataset.head]).toEqual(["0", "1"]);
    press(grid, "ArrowDown");
    expect([card.dataset.key, card.dataset.head]).toEqual(["1", "0"]);
  });
});

describe("a long text", () => {
  const LONG = 600;
  const long = Array.from({ length: LONG }, (_, i) => ` t${i}`);
  const of = { nKeys: LONG, query: LONG - 1, start: 256, stop: 512 };
  const answer = ({ question, args }: Asked): Answer | null => {
    const { start, stop } = args as { start: number; stop: number };
    const keys =
      question === "products"
        ? Array.from({ length: stop - start }, (_, i) => start + i)
        : (args.keys as number[]);
    const shape = [1, keys.length, DIMS];
    return {
      result: { kind: "self", layer: 1, heads: [0], query: LONG - 1, ...args },
      arrays: {
        products: floats(
          keys.flatMap((key) => productsOf(0, key)),
          shape,
        ),
        key_vectors: floats(keys.flatMap(keyOf), shape),
      },
    };
  };
  const state = { axes: selfAxes(long), query: LONG - 1, frame: frame(of), key: 300 };

  test("has the rows that are in view, and asks for the products of others", async () => {
    const { host, grid, keys, el } = mount(state, answer);
    expect(keys().length).toBeLessThan(60);
    expect(host.asked).toEqual([]);
    grid.scrollTop = 0;
    grid.dispatchEvent(new Event("scroll"));
    // A frame to scroll in, and one for what comes.
    await settle();
    await settle();
    expect(host.asked).toEqual([{ question: "products", args: { start: 0, stop: 128 } }]);
    expect(keys()[0]).toBe(0);
    expect(el.querySelectorAll(".is-waiting")).toHaveLength(0);
    host.set({ key: 5 });
    const [up] = el.querySelectorAll(".qk-step");
    expect(up?.textContent).toContain(signed(productsOf(0, 5)[0] ?? 0));
  });

  test("asks for the strongest keys by their positions", async () => {
    const { host } = mount({ ...state, rows: "strongest", key: null }, answer);
    await settle();
    const [asked] = host.asked;
    expect(asked?.question).toBe("chosen_products");
    const keys = asked?.args.keys as number[] | undefined;
    expect(keys?.[0]).toBe(LONG - 1);
    expect(keys).toHaveLength(128);
  });

  test("says why there are no products where nobody answers", async () => {
    const { host, el, status } = mount(state);
    host.set({ key: 3 });
    await settle();
    host.set({ hovered: 4 });
    expect(find(el, ".qk-steps").textContent).toContain("the kernel is gone");
    expect(status()).toContain("the kernel is gone");
  });

  test("drops what was asked for another query", async () => {
    const late = (asked: Asked): Answer | null => {
      const found = answer(asked);
      return found && { ...found, result: { ...found.result, query: 3 } };
    };
    const { host, el } = mount(state, late);
    host.set({ key: 3 });
    await settle();
    expect(find(el, ".qk-steps").textContent).toContain("on their way");
  });
});

describe("without a picture", () => {
  test("it says that there is no kernel, or that the products are on their way", () => {
    const { host, el } = mount({ frame: {} });
    expect(find(el, ".qk-nothing").hidden).toBe(false);
    host.set({ busy: "computing" });
    expect(find(el, ".qk-nothing").textContent).toContain("on their way");
    host.turn("no kernel");
    expect(find(el, ".qk-nothing").textContent).toContain("No kernel.");
  });

  test("what is shown of another query is the last picture", () => {
    const { host } = mount();
    expect(isStale(host.state)).toBe(false);
    host.set({ query: 1 });
    expect(isStale(host.state)).toBe(true);
  });

  test("a frame of another kind of attention waits for its labels", () => {
    const { host, el } = mount();
    host.set({ axes: { ...selfAxes(TOKENS), kind: "encoder" } });
    expect(find(el, ".qk-columns").hidden).toBe(true);
  });
});
