/**
 * What comes from outside is looked at before it is drawn: a saved state may be damaged, and what a
 * view takes for an array or a number must be one.
 */

import { ITEM_SIZE } from "../arrays";

type Check = (value: unknown) => boolean;

const number: Check = (value) => typeof value === "number" && Number.isFinite(value);
const numberOrNull: Check = (value) => value === null || number(value);
const numbers: Check = (value) => Array.isArray(value) && value.every(number);
const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const list: Check = Array.isArray;
const record: Check = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What a trait is, and what stands in for one that is not: a pane's is under its own name. */
const TRAITS: Readonly<Record<string, readonly [Check, unknown]>> = {
  theme: [text, "auto"],
  height: [number, 0],
  scene: [record, { model: "", notice: "", family: "decoder", kinds: [] }],
  frame: [record, {}],
  axes: [record, {}],
  detail: [record, {}],
  prompt: [record, { text: "", target: null }],
  error: [text, ""],
  busy: [text, ""],
  story: [list, []],
  earlier: [list, []],
  panes: [list, []],
  step: [number, 0],
  layer: [number, 0],
  heads: [numbers, []],
  kind: [text, "self"],
  unit: [text, "token"],
  aggregate: [text, "mean"],
  sinks: [text, "auto"],
  off: [list, []],
  off_how: [text, "zero"],
  fixed_heads: [record, {}],
  selected: [numbers, []],
  selected_source: [numbers, []],
  hovered: [numberOrNull, null],
  hovered_source: [numberOrNull, null],
  top_k: [numberOrNull, null],
  threshold: [numberOrNull, null],
  at_least: [numberOrNull, null],
  at_most: [numberOrNull, null],
  only_layers: [numbers, []],
  only_heads: [numbers, []],
  what: [text, "residual"],
  cell: [numbers, []],
  positions: [numbers, []],
  position: [numberOrNull, null],
  targets: [numbers, []],
  steps: [number, 50],
  sentences: [text, "all"],
  k: [number, 5],
  blank: [flag, false],
  normalise: [flag, false],
  hide_special: [flag, false],
  scores: [flag, false],
};

/** A value that can be drawn, and what was wrong with the one that came; "" = nothing. */
export function checked(name: string, value: unknown): { value: unknown; wrong: string } {
  const own = name in TRAITS ? name : name.replace(/^[a-z]+_/, "");
  const known = TRAITS[own];
  // A host that has no such trait says undefined.
  if (!known || value === undefined) return { value, wrong: "" };
  const [is, instead] = known;
  if (!is(value)) return { value: instead, wrong: damaged(`${name} is ${kindOf(value)}`) };
  const array = record(value) ? wrongArray(value as object, name) : "";
  return array ? { value: instead, wrong: damaged(array) } : { value, wrong: "" };
}

function damaged(what: string): string {
  return `What was saved of this view is damaged (${what}). Run the cell again.`;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "another list" : `of type ${typeof value}`;
}

/** Says which packed array within is none; "" = all are. */
function wrongArray(value: object, path: string): string {
  if ("dtype" in value && "shape" in value) return wrongPacked(value as Packed, path);
  for (const [name, inner] of Object.entries(value)) {
    if (typeof inner !== "object" || inner === null || ArrayBuffer.isView(inner)) continue;
    // Lists of texts and numbers are long, and have no arrays in them.
    if (Array.isArray(inner) && typeof inner[0] !== "object") continue;
    const wrong = wrongArray(inner, `${path}.${name}`);
    if (wrong) return wrong;
  }
  return "";
}

interface Packed {
  dtype: unknown;
  shape: unknown;
  data?: unknown;
}

function wrongPacked({ dtype, shape, data }: Packed, path: string): string {
  const size = (ITEM_SIZE as Readonly<Record<string, number>>)[String(dtype)];
  if (size === undefined) return `${path} is of dtype ${String(dtype)}`;
  if (!Array.isArray(shape) || !shape.every((n) => Number.isInteger(n) && n >= 0)) {
    return `${path} has no shape`;
  }
  if (!ArrayBuffer.isView(data) && !(data instanceof ArrayBuffer)) return `${path} has no data`;
  const wanted = shape.reduce((product: number, n: number) => product * n, size);
  if (data.byteLength === wanted) return "";
  return `${path} has ${data.byteLength} bytes, and its shape [${shape.join(", ")}] needs ${wanted}`;
}
