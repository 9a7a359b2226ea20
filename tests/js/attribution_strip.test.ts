import { beforeEach, describe, expect, test, vi } from "vitest";
import { attributionData } from "../../js/attribution_strip/data";
import { readMatrix } from "../../js/attribution_strip/matrix";
import type { AttributionState } from "../../js/attribution_strip/state";
import { AttributionStripView } from "../../js/attribution_strip/view";
import type { Answer } from "../../js/shared/host/host";
import { numberAt } from "../../js/shared/map/grid";
import { frame, input, keyOf, matrixFrame, TOKENS, target } from "./attribution_frames";
import {
  type Asked,
  common,
  FakeHost,
  find,
  floats,
  lostBy,
  pack,
  press,
  selfAxes,
  settle,
} from "./fake_host";

const N = TOKENS.length;

const TOP: Answer = {
  result: { position: N, tokens: [" Then", " He", "\n"], ids: [16, 70, 71], came: null },
  arrays: { probability: floats([0.5, 0.3, 0.1]) },
};

function mount(
  more: Partial<AttributionState> = {},
  answer: (asked: Asked) => Answer | null = ({ question }) => (question === "top_k" ? TOP : null),
  can?: (question: string) => boolean,
) {
  const shown = more.frame && "kind" in more.frame ? more.frame : frame();
  const state: AttributionState = {
    ...common(selfAxes(TOKENS)),
    ...shown.key,
    frame: shown,
    ...more,
  };
  const host = new FakeHost<AttributionState>(state, answer);
  if (can) Object.assign(host, { can });
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(900);
  host.view = new AttributionStripView(el, host);
  const strip = (index: number): HTMLElement => find(el, `[data-strip="${index}"]`);
  const text = (words: string | null | undefined): string =>
    words?.replace(/[\u2068\u2069]/g, "").replace(/\u00a0/g, " ") ?? "";
  return {
    ...{ host, el, strip },
    root: find(el, ".gh"),
    texts: find(el, ".as-texts"),
    token: (place: number, index = 0): HTMLElement =>
      find(strip(index), `[data-position="${place}"]`),
    status: (): string => text(find(el, ".gh-status").textContent),
    card: (): string => text(find(el, ".as-card-top").textContent),
    words: (selector: string): string => text(find(el, selector).textContent),
    select: (action: string): HTMLSelectElement =>
      find(el, `select[data-action="${action}"]`) as HTMLSelectElement,
    choose(action: string, value: string): void {
      const select = find(el, `select[data-action="${action}"]`) as HTMLSelectElement;
      select.value = value;
      select.dispatchEvent(new Event("change", { bubbles: true }));
    },
  };
}

function over(element: HTMLElement): void {
  element.dispatchEvent(new Event("pointerover", { bubbles: true }));
}

function click(element: HTMLElement, more: MouseEventInit = {}): void {
  element.dispatchEvent(new MouseEvent("click", { bubbles: true, ...more }));
}

beforeEach(() => {
  vi.restoreAllMocks();
});

describe("the text", () => {
  test("is coloured on both sides of zero, and zero is paper", () => {
    const { token } = mount({ frame: frame([target(4)]) });
    const colour = (place: number): number[] =>
      (token(place).style.backgroundColor.match(/\d+/g) ?? []).map(Number);
    const [red = 0, , blue = 0] = colour(0);
    expect(blue).toBeGreaterThan(red);
    const [warm = 0, , cold = 0] = colour(1);
    expect(warm).toBeGreaterThan(cold);
  });

  test("marks the target, and leaves what comes later without a colour", () => {
    const { token, strip } = mount({ frame: frame([target(4)]) });
    expect(token(4).classList).toContain("as-target");
    expect(token(5).classList).toContain("is-later");
    expect(token(5).style.backgroundColor).toBe("");
    expect(token(3).classList).not.toContain("is-later");
    expect(strip(0).querySelectorAll(".as-target")).toHaveLength(1);
  });

  test("says behind its end what the model expects there", () => {
    const { token } = mount();
    expect(token(N).textContent).toBe("Then");
    expect(token(N).classList).toContain("as-target");
  });

  test("has another token that is asked for in the place of the one that came", () => {
    const asked = target(2, { token: { id: 70, text: " ran" }, came: false });
    const { el, token } = mount({
      frame: frame([asked], { key: keyOf({ position: 2, token: 70 }) }),
    });
    expect(token(2).classList).toContain("is-replaced");
    expect(token(2).previousElementSibling?.textContent).toBe("ran");
    expect(find(el, ".as-where").textContent).toContain("in place of");
  });

  test("of words colours all tokens of a word with what they come to", () => {
    const units = pack([0, 0, 1, 1, 2, 2], "uint32");
    const of = target(N);
    const words = input([of], {
      ...{ units: 3, labels: ["The cat", " sat on", " it."], unit_of_token: units },
      values: pack([0.3, -0.2, 0], "float32", [1, 3]),
      share: pack([0.6, 0.4, 0], "float32", [1, 3]),
    });
    const { token, card, host } = mount({
      unit: "word",
      frame: frame([of], { inputs: [words], key: keyOf({ unit: "word" }) }),
    });
    expect(token(0).style.backgroundColor).toBe(token(1).style.backgroundColor);
    host.set({ hovered: 3 });
    expect(card()).toContain("−0.200 nats");
    expect(card()).toContain("the sum of its 2 tokens");
  });

  test("is never markup", () => {
    const hostile = input([target(N)], { texts: ["<img src=x>", ...TOKENS.slice(1)] });
    const { el } = mount({ frame: frame([target(N)], { inputs: [hostile] }) });
    expect(el.querySelector("img")).toBeNull();
  });
});

describe("a token that is pointed at", () => {
  test("is told with its unit and its share", () => {
    const { token, card, status, host } = mount();
    over(token(1));
    expect(host.state.hovered).toBe(1);
    expect(card()).toContain("+0.200 nats");
    expect(card()).toContain("of the sizes of all");
    expect(status()).toContain("‘cat’: attribution +0.200 nats");
    expect(status()).toContain("to ‘Then’");
  });

  test("in a linked view is told, too", () => {
    const { host, token, card } = mount();
    host.set({ hovered: 3 });
    expect(token(3).classList).toContain("is-hovered");
    expect(card()).toContain("+0.400 nats");
  });

  test("that comes later is said to do so", () => {
    const { token, status } = mount({ frame: frame([target(2)]) });
    over(token(4));
    expect(status()).toContain("comes later than ‘sat’");
  });

  test("leaves the summary when the pointer has gone", () => {
    const { token, texts, card, host } = mount();
    over(token(1));
    texts.dispatchEvent(new Event("pointerleave"));
    expect(host.state.hovered).toBeNull();
    expect(card()).toContain("50.0 % probability");
  });

  test("can be one of the bars of what counts most", () => {
    const { el, host } = mount();
    const [first] = el.querySelectorAll<HTMLElement>(".as-bars > li");
    expect(first?.textContent).toBe(".+0.600");
    if (first) over(first);
    expect(host.state.hovered).toBe(5);
    expect(first?.classList).toContain("is-lit");
  });
});

describe("another target", () => {
  test("is asked by a click, and what was chosen for the last one goes", () => {
    const { token, host } = mount({ token: 70, against: 71 });
    click(token(3));
    expect(host.state).toMatchObject({ position: 3, token: null, against: null, selected: [3] });
  });

  test("is kept beside the others by a click with Shift", () => {
    const { token, host } = mount();
    click(token(3), { shiftKey: true });
    expect(host.state).toMatchObject({ position: null, targets: [3] });
    click(token(3), { shiftKey: true });
    expect(host.state.targets).toEqual([]);
  });

  test("behind the text can be asked again", () => {
    const { token, host } = mount({ frame: frame([target(2)]) });
    expect(token(N).textContent).toBe("next");
    click(token(N));
    expect(host.state).toMatchObject({ position: N, selected: [] });
  });

  test("is not the first token: nothing predicted it", () => {
    const { token, host, status } = mount();
    click(token(0));
    expect(host.state.position).toBeNull();
    expect(status()).toContain("Nothing was predicted there");
    over(token(0));
    host.set({ layer: 0 });
    expect(status()).toContain("Nothing was predicted there");
    over(token(1));
    expect(status()).toContain("attribution");
  });

  test("is reached with arrows and Enter, and kept with Shift", () => {
    const { texts, host } = mount();
    press(texts, "Home");
    press(texts, "ArrowRight");
    press(texts, "ArrowRight");
    expect(host.state.hovered).toBe(2);
    press(texts, "Enter");
    expect(host.state.position).toBe(2);
    press(texts, "ArrowRight");
    press(texts, "Enter", { shiftKey: true });
    expect(host.state.targets).toEqual([3]);
  });

  test("is reached behind the text, too, where no trait has a position for it", () => {
    const { texts, host, token } = mount({ frame: frame([target(2)]) });
    press(texts, "End");
    expect(host.state.hovered).toBeNull();
    expect(token(N).classList).toContain("is-hovered");
    press(texts, "Enter");
    expect(host.state.position).toBe(N);
  });

  test("is one before or behind with [ and ], however late the picture comes", () => {
    const { root, host } = mount({ frame: frame([target(3)], { key: keyOf({ position: 3 }) }) });
    press(root, "[");
    press(root, "[");
    expect(host.state.position).toBe(1);
    press(root, "[");
    expect(host.state.position).toBe(1);
    press(root, "]");
    expect(host.state.position).toBe(2);
    expect(host.state.layer).toBe(1);
  });

  test("is chosen among what the model might have said", async () => {
    const { host, select, choose } = mount();
    await settle();
    expect(host.asked.filter(({ question }) => question === "top_k")).toEqual([
      { question: "top_k", args: { position: N, k: 10 } },
    ]);
    const labels = [...select("token").options].map(({ label }) => label.replace(/[⁨⁩]/g, ""));
    expect(labels).toEqual(["‘Then’ (most probable)", "‘He’ 30.0 %", "‘⏎’ 10.0 %"]);
    choose("token", "70");
    expect(host.state.token).toBe(70);
    choose("against", "71");
    expect(host.state.against).toBe(71);
    choose("token", "");
    expect(host.state.token).toBeNull();
  });

  test("cannot be chosen where nobody can be asked for others", () => {
    const { select, host } = mount({}, undefined, (question) => question !== "top_k");
    expect(select("token").disabled).toBe(true);
    expect(select("against").disabled).toBe(true);
    expect(host.asked).toEqual([]);
  });
});

describe("several targets", () => {
  const two = () =>
    frame([target(2), target(4)], { key: keyOf({ position: 4, targets: [2] }), current: 1 });

  test("have a text each, and the current one what can be asked", () => {
    const { strip, el } = mount({ frame: two() });
    expect(strip(0).querySelector("select")).toBeNull();
    expect(strip(1).querySelectorAll("select")).toHaveLength(2);
    expect(strip(1).classList).toContain("is-current");
    expect(el.querySelectorAll(".as-strip")).toHaveLength(2);
  });

  test("are told by the text that is pointed at", () => {
    const { token, status } = mount({ frame: two() });
    over(token(1, 0));
    expect(status()).toContain("+0.200 nats");
    expect(status()).toContain("to ‘sat’");
    over(token(1, 1));
    expect(status()).toContain("+0.400 nats");
    expect(status()).toContain("to ‘it’");
  });

  test("can be let go of", () => {
    const { el, host } = mount({ frame: two() });
    click(find(el, '[data-action="let-go"]'));
    expect(host.state.targets).toEqual([]);
  });

  test("are kept by a button, which says whether it is so", () => {
    const { el, host } = mount({ frame: frame([target(4)], { key: keyOf({ position: 4 }) }) });
    const keep = find(el, '[data-action="keep"]');
    click(keep);
    expect(host.state.targets).toEqual([4]);
    expect(keep.getAttribute("aria-pressed")).toBe("true");
  });
});

describe("numbers that do not add up", () => {
  const complete = (relative: number) => ({
    ...{ baseline: -3, error: 0.1, relative, too_large: relative > 0.01 },
    words: "Attributions add up to 0.75 nats, and should to 2.31: 4.3 % are missing.",
  });

  test("are said, loudly where much is missing", () => {
    const { el, words } = mount({ frame: frame([target(N, { completeness: complete(0.04) })]) });
    expect(words(".as-facts")).toContain("4.3 % are missing");
    expect(find(el, ".as-facts").classList).toContain("is-loud");
    expect(find(el, ".as-facts").getAttribute("role")).toBe("note");
  });

  test("are said quietly where next to nothing is missing", () => {
    const { el } = mount({ frame: frame([target(N, { completeness: complete(0.001) })]) });
    expect(find(el, ".as-facts").classList).not.toContain("is-loud");
  });
});

describe("the header", () => {
  test("has steps and baseline of integrated gradients only", () => {
    const { host, select, choose } = mount();
    expect(select("steps").closest("label")?.hidden).toBe(true);
    host.set({ method: "integrated_gradients", steps: 30 });
    expect(select("steps").closest("label")?.hidden).toBe(false);
    expect([...select("steps").options].map(({ value }) => value)).toContain("30");
    choose("steps", "200");
    expect(host.state.steps).toBe(200);
  });

  test("says that a difference is one of logits", () => {
    const { host, select } = mount();
    host.set({ against: 71 });
    expect(select("quantity").value).toBe("logit");
    expect(select("quantity").disabled).toBe(true);
  });

  test("has nothing to choose on a page that was saved with one picture", () => {
    const { el, root, host } = mount({}, undefined, () => false);
    for (const button of el.querySelectorAll('[data-action="method"] button')) {
      expect(button.getAttribute("aria-disabled")).toBe("true");
    }
    press(root, "[");
    expect(host.state.position).toBeNull();
  });
});

describe("two texts", () => {
  test("are the encoder's source and what the decoder had written", () => {
    const of = target(2, { position: 1 });
    const shape = [1, 2];
    const source = input([of], {
      ...{ sequence: "source", texts: ["le", " chat"], labels: ["le", " chat"], units: 2 },
      ...{ gaps: ["", "", ""], special: pack([0, 0]), generated: pack([0, 0]) },
      unit_of_token: pack([0, 1], "uint32"),
      values: pack([0.5, -0.25], "float32", shape),
      share: pack([0.4, 0.2], "float32", shape),
    });
    const { strip, host, card, token } = mount({
      frame: frame([of], { inputs: [source, input([of], { sequence: "target" })], offset: -1 }),
    });
    const captions = [...strip(0).querySelectorAll(":scope > .gh-caption")];
    expect(captions.map(({ textContent }) => textContent)).toEqual([
      "Source, as the encoder reads it",
      "Target so far, as the decoder reads it",
    ]);
    over(find(strip(0), '[data-source-position="1"]'));
    expect(host.state).toMatchObject({ hovered_source: 1, hovered: null });
    expect(card()).toContain("−0.250 nats");
    // The label behind decoder input 3 is the token that the decoder then reads at place 3.
    click(token(3));
    expect(host.state).toMatchObject({ position: 2, selected: [2] });
  });
});

describe("the matrix", () => {
  test("is read with rows by position, and hatched from what comes later on", () => {
    const of = matrixFrame();
    const data = attributionData(of);
    if (!of.matrix) throw new Error("no matrix");
    const matrix = readMatrix(data, of.matrix);
    expect(matrix.positionOf(2)).toBe(3);
    expect(matrix.rowOf(3)).toBe(2);
    expect(matrix.rowOf(N)).toBeNull();
    expect(matrix.laterFrom(2)).toBe(3);
    const [grid] = matrix.grids;
    expect(grid && numberAt(grid, 4, 3)?.value).toBeCloseTo(0.4);
    expect(matrix.bound).toBeCloseTo(0.4);
    expect(matrix.beyond).toBe(true);
  });

  test("is read from bytes where there are no floats", () => {
    const of = matrixFrame({ exact: null });
    if (!of.matrix) throw new Error("no matrix");
    const [grid] = readMatrix(attributionData(of), of.matrix).grids;
    expect(grid && numberAt(grid, 4, 4)?.value).toBeCloseTo(-0.5);
  });

  test("takes the place of the text, and says of a cell what it is", async () => {
    const { el, root, host, status } = mount({ frame: matrixFrame(), show: "matrix" });
    await settle();
    expect(find(el, ".as-main").hidden).toBe(true);
    press(root, "ArrowRight");
    press(root, "ArrowDown");
    expect(status()).toContain("‘The’, to ‘sat’: attribution −0.100 nats");
    press(root, "ArrowRight");
    press(root, "ArrowRight");
    expect(status()).toContain("comes later than");
    press(root, "Enter");
    expect(host.state.position).toBe(2);
  });
});

describe("while there is no picture", () => {
  test("it says that work goes on", () => {
    const { words } = mount({ frame: {}, busy: "computing attribution" });
    expect(words(".as-nothing")).toContain("on its way");
  });

  test("a picture takes the place of those words", () => {
    const { el, host } = mount({ frame: {}, busy: "computing attribution" });
    host.set({ frame: frame(), busy: "" });
    expect(find(el, ".as-nothing").hidden).toBe(true);
    expect(el.querySelectorAll(".as-strip")).toHaveLength(1);
  });

  test("work can be cancelled", () => {
    const { el, host } = mount({ busy: "integrated gradients: 20%" });
    click(find(el, '[data-action="cancel"]'));
    expect(host.stopped).toBe(1);
  });
});

test("another target of the same text keeps its elements", () => {
  const { host, strip } = mount();
  const lost = lostBy(find(strip(0), ".gh-text"), () => host.set({ frame: frame([target(3)]) }));
  expect(lost.filter((one) => one.hasAttribute("data-position"))).toEqual([]);
  expect(find(strip(0), '[data-position="3"]').classList).toContain("as-target");
});
