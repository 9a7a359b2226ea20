import { beforeEach, describe, expect, test } from "vitest";
import { blocks } from "../../js/token_table/blocks";
import { readSplit } from "../../js/token_table/data";
import type { SplitFrame, TableState, TokensFrame } from "../../js/token_table/state";
import { TokenTableView } from "../../js/token_table/view";
import { FakeHost, find, lostBy, pack, press } from "./fake_host";

const HOSTILE = "</script><img src=x onerror=alert(1)>";
const KINDS = ["piece", "special", "byte", "added", "unknown"];

type Row = [text: string, start: number, end: number, kind: number, word: number];

const ROWS: Row[] = [
  ["<s>", 0, 0, 1, 0],
  ["wh", 0, 2, 0, 1],
  ["ale", 2, 5, 0, 1],
  [" ⟨F0 9F⟩", 5, 7, 2, 2],
  ["⟨90 8B⟩", 6, 7, 2, 2],
  [HOSTILE, 7, 44, 3, 3],
  ["\n", 44, 45, 0, 4],
  ["[UNK]", 45, 46, 4, 5],
];

function splitFrame(rows: Row[], more: Partial<SplitFrame> = {}): SplitFrame {
  const numbers = (pick: (row: Row) => number) => rows.map(pick);
  return {
    name: "toy",
    texts: rows.map(([text]) => text),
    gaps: Array(rows.length + 1).fill(""),
    own: rows.map(([text]) => text.replace(" ", "Ġ")),
    words: ["<s>", "whale", "🐋", HOSTILE, "\n", "x", "y", "z"],
    ids: pack(
      numbers((_) => 7),
      "uint32",
    ),
    spans: pack(
      rows.flatMap(([, start, end]) => [start, end]),
      "uint32",
      [rows.length, 2],
    ),
    kinds: pack(numbers(([, , , kind]) => kind)),
    word: pack(
      numbers(([, , , , word]) => word),
      "uint32",
    ),
    segments: null,
    n_words: 4,
    n_characters: 46,
    n_split: 1,
    ...more,
  };
}

function tokensFrame(more: Partial<TokensFrame> = {}, rows = ROWS): TokensFrame {
  return { ...splitFrame(rows), kind: "tokens", key: {}, kind_names: KINDS, other: null, ...more };
}

function mount(more: Partial<TableState> = {}) {
  const state: TableState = {
    ...{
      hovered: null,
      selected: [],
      theme: "light",
      height: 0,
      error: "",
      busy: "",
      story: [],
      step: 0,
    },
    scene: { model: "toy", notice: "" },
    frame: tokensFrame(),
    ...more,
  };
  const host = new FakeHost<TableState>(state);
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  host.view = new TokenTableView(el, host);
  return {
    host,
    el,
    token: (i: number) => find(el, `[data-position="${i}"]`),
    row: (i: number) => find(el, `[data-row="${i}"]`),
  };
}

const over = (element: HTMLElement): void => {
  element.dispatchEvent(new MouseEvent("pointerover", { bubbles: true }));
};

beforeEach(() => document.body.replaceChildren());

describe("the text", () => {
  test("says in words what it splits into", () => {
    const { el } = mount();
    expect(find(el, ".tt-summary").textContent).toBe(
      "8 tokens, 1 of them special, for 4 words (1.8 a word) and 46 characters; " +
        "2 tokens are parts of one character; 1 token stands for unknown text.",
    );
    expect(find(el, ".gh").dataset.ready).toBe("true");
  });

  test("stands in its tokens, spaces marked and bytes as bytes", () => {
    const { token, el } = mount();
    expect(token(3).textContent).toBe("·⟨F0 9F⟩");
    expect(token(6).textContent).toBe("⏎\n");
    expect(find(el, ".gh-legend").textContent).toContain("2 word pieces2 byte tokens");
    const looks = [...el.querySelectorAll(".tt-text .tt-chip")].map(
      (chip) => /is-(\w+)/.exec(chip.className.replace("is-odd", ""))?.[1],
    );
    expect(looks).toEqual([
      ...["special", "part", "part", "byte", "byte", "added", "space", "unknown"],
    ]);
  });

  test("that is written like an attack is text, in the picture, the table and in words", () => {
    const { el, token, row, host } = mount();
    expect(token(5).textContent).toContain(HOSTILE.replaceAll(" ", "·"));
    expect(row(5).textContent).toContain(HOSTILE.replaceAll(" ", "·"));
    host.set({ hovered: 5 });
    expect(find(el, ".gh-status").textContent).toContain("</script>");
    expect(el.querySelector("img, script")).toBeNull();
  });

  test("of a pair says where each sentence begins", () => {
    const segments = pack([0, 0, 0, 0, 0, 1, 1, 1]);
    const { el, host } = mount({ frame: tokensFrame({ segments }) });
    const marks = [...el.querySelectorAll(".tt-sentence")];
    expect(marks.map((mark) => mark.textContent)).toEqual(["sentence 1", "sentence 2"]);
    expect(marks[1]?.nextElementSibling?.getAttribute("data-position")).toBe("5");
    host.set({ hovered: 6 });
    expect(find(el, ".gh-status").textContent).toContain("sentence 2");
  });
});

describe("a token and its row", () => {
  test("light each other", () => {
    const { host, token, row, el } = mount();
    over(token(2));
    expect(host.state.hovered).toBe(2);
    expect(row(2).classList).toContain("is-hovered");
    over(row(4));
    expect(token(4).classList).toContain("is-hovered");
    expect(token(2).classList).not.toContain("is-hovered");
    find(el, ".tt-table").dispatchEvent(new MouseEvent("pointerleave"));
    expect(host.state.hovered).toBeNull();
  });

  test("are pinned by a click, in Python as well", () => {
    const { host, token, row } = mount({ selected: [1] });
    expect(row(1).classList).toContain("is-selected");
    row(3).click();
    expect(host.state.selected).toEqual([1, 3]);
    expect(token(3).classList).toContain("is-selected");
    token(1).click();
    expect(host.state.selected).toEqual([3]);
    expect(row(1).classList).not.toContain("is-selected");
  });

  test("are said in a sentence", () => {
    const { host, el } = mount();
    host.set({ hovered: 2 });
    const words =
      "Token 2 ‘\u2068ale\u2069’: id 7, own string ‘\u2068ale\u2069’, characters 2–5, word piece, " +
      "2 of 2 tokens of the word ‘\u2068whale\u2069’.";
    expect(find(el, ".gh-status").textContent).toBe(words);
    expect(find(el, ".gh-live").textContent).toBe(words);
    host.set({ hovered: 0 });
    expect(find(el, ".gh-status").textContent).toContain("put in at character 0, special");
  });

  test("nothing else is drawn anew", () => {
    const { host, el, row } = mount();
    const lost = lostBy(find(el, ".gh-body"), () => host.set({ hovered: 3 }));
    expect(lost).toEqual([]);
    expect(row(3).isConnected).toBe(true);
  });

  test("follow the keys", () => {
    const { host, el } = mount();
    const [text, table] = [find(el, ".tt-text"), find(el, ".tt-table")];
    press(text, "ArrowRight");
    press(text, "ArrowRight");
    expect(host.state.hovered).toBe(1);
    press(table, "ArrowDown");
    expect(host.state.hovered).toBe(2);
    press(table, "End");
    expect(host.state.hovered).toBe(7);
    press(table, "Enter");
    expect(host.state.selected).toEqual([7]);
    press(table, "Escape");
    expect(host.state).toMatchObject({ hovered: null, selected: [] });
  });
});

describe("a long text", () => {
  const many = Array.from({ length: 16_000 }, (_, i): Row => ["a", i, i + 1, 0, 1]);

  test("has only the rows near the screen in the page", () => {
    const { el } = mount({ frame: tokensFrame({}, many) });
    expect(el.querySelectorAll("[data-position]")).toHaveLength(16_000);
    expect(el.querySelectorAll("[data-row]").length).toBeLessThan(60);
    expect(find(el, ".tt-table").getAttribute("aria-rowcount")).toBe("16001");
    expect(el.querySelectorAll(".gh-text-chunk.is-lazy").length).toBeGreaterThan(30);
    const table = find(el, ".tt-table");
    table.scrollTop = 26 * 15_000;
    table.dispatchEvent(new Event("scroll"));
    expect(find(el, '[data-row="15005"]').getAttribute("aria-rowindex")).toBe("15007");
    expect(el.querySelector('[data-row="0"]')).toBeNull();
    expect(el.querySelectorAll("[data-row]").length).toBeLessThan(60);
  });
});

describe("two tokenizers", () => {
  const first: Row[] = [
    ["The", 0, 3, 0, 1],
    [" wh", 3, 6, 0, 2],
    ["ale", 6, 9, 0, 2],
    ["⟨F0 9F⟩", 9, 10, 2, 3],
    ["⟨90⟩", 9, 10, 2, 3],
    [".", 10, 11, 0, 4],
  ];
  const second: Row[] = [
    ["[CLS]", 0, 0, 1, 0],
    ["the", 0, 3, 0, 1],
    ["w", 4, 5, 0, 2],
    ["hale", 5, 9, 0, 2],
    ["⟨F0 9F 90⟩", 9, 10, 2, 3],
    [".", 10, 11, 0, 4],
    ["[SEP]", 11, 11, 1, 5],
  ];
  const read = (rows: Row[]) => readSplit(splitFrame(rows), KINDS);

  test("are cut where both cut, and no token is lost", () => {
    const found = blocks(read(first), read(second));
    expect(found.map(({ first: a, second: b }) => [a, b])).toEqual([
      [[], [0]],
      [[0], [1]],
      [
        [1, 2],
        [2, 3],
      ],
      [[3, 4], [4]],
      [[5], [5]],
      [[], [6]],
    ]);
  });

  test("one that stops early, and one that covers nothing, lose no token either", () => {
    const early = blocks(read(first), read(second.slice(0, 3)));
    expect(early.flatMap((block) => block.first)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(early.flatMap((block) => block.second)).toEqual([0, 1, 2]);
    expect(blocks(read([]), read(second.slice(0, 1)))).toEqual([{ first: [], second: [0] }]);
  });

  test("are counted against each other, and the other's tokens said in words", () => {
    const other = splitFrame(second, { name: "bert" });
    const { el, host } = mount({ frame: tokensFrame({ other }, first) });
    expect(find(el, ".tt-summary").textContent).toContain(
      "bert (below) makes 7 tokens of it (1.3 a word), 17 % more.",
    );
    expect(el.querySelectorAll(".tt-block.is-same")).toHaveLength(2);
    over(find(el, '[data-other-position="3"]'));
    expect(host.state.hovered).toBeNull();
    expect(find(el, ".gh-status").textContent).toContain("bert: Token 3 ‘\u2068hale\u2069’");
    expect(find(el, '[data-other-position="3"]').classList).toContain("is-hovered");
  });
});
