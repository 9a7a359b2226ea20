/** What the view says of a key, and of one dimension of it. */

import { formatCount, formatWeight, percent } from "../shared/numbers";
import { kindInfo } from "../shared/scene";
import { exact, plain, signed } from "../shared/signed_numbers";
import type { Scene } from "../shared/state";
import type { QueryKeyPicture } from "./picture";
import type { Cells } from "./products";
import { type Term, termsOf } from "./steps";

/** Dimensions of each sign that a sentence names. */
const NAMED = 3;

/** "‘it’ looks at ‘cat’ with 0.41 (layer 1, head 0): …" */
export function keyWords(
  picture: QueryKeyPicture,
  lane: number,
  key: number,
  cells: Cells | null,
): string {
  const { data, queryName } = picture;
  const name = picture.keyName(key);
  const of = `layer ${data.frame.key.layer}, head ${data.heads[lane]}`;
  if (data.isHidden(lane, key)) return `${queryName} may not look at ${name} (${of}).`;
  const { weight, score, dot, bias, capped } = data.parts(lane, key);
  const looks = `${queryName} looks at ${name} with ${formatWeight(weight)} (${of})`;
  const sum = cells ? `products sum to ${signed(dot)}${dimensionWords(picture, lane, cells)}` : "";
  const more = [
    capped === null ? "" : `soft-cap makes it ${signed(capped)}`,
    bias === null ? "" : `${data.frame.bias_words || "position bias"} adds ${signed(bias)}`,
    `score ${signed(score)}`,
  ];
  return `${looks}: ${[sum, ...more].filter(Boolean).join("; ")}.`;
}

function dimensionWords({ data }: QueryKeyPicture, lane: number, cells: Cells): string {
  const named = (sign: 1 | -1): string =>
    termsOf(cells, lane, data.dims, sign)
      .slice(0, NAMED)
      .map(({ dim, product }: Term) => `${dim} (${signed(product)})`)
      .join(", ");
  const [up, down] = [named(1), named(-1)];
  const raised = up && `raised most by dimensions ${up}`;
  const lowered = down && `lowered by ${down}`;
  const words = [raised, lowered].filter(Boolean).join("; ");
  return words && ` (${words})`;
}

/** One product, and what it is of: the lines of a tooltip. */
export function cellWords(
  { data, keyName, queryName }: QueryKeyPicture,
  { lane, key, dim }: { lane: number; key: number; dim: number },
  cells: Cells,
): { title: string; product: string; share: string } {
  const { scaling } = data.frame;
  const scaled = scaling === 1 ? "" : `${exact(scaling)} × `;
  const product = cells.product(lane, dim);
  const factors = `${scaled}q ${exact(data.query(lane, dim))} × k ${exact(cells.key(lane, dim))}`;
  const title = `dimension ${dim}${data.heads.length > 1 ? `, head ${data.heads[lane]}` : ""}`;
  const { dot } = data.parts(lane, key);
  const share = product / dot;
  const of = `of the sum ${exact(dot)}`;
  const words =
    share >= 0 ? `${percent(Math.min(share, 99.99))} ${of}` : `against the sum ${exact(dot)}`;
  return {
    title: `${title}: ${queryName} and ${keyName(key)}`,
    product: `${factors} = ${exact(product)}`,
    share: Number.isFinite(share) ? words : "",
  };
}

/** What else is to be known of the whole picture. */
export function noteWords({ data }: QueryKeyPicture): string {
  const { note } = data.frame;
  const sinks = data.heads
    .map((head, lane) => [head, data.sink(lane)] as const)
    .filter(([, score]) => score !== null)
    .map(([head, score]) => `${plain(score ?? 0)} in head ${head}`);
  const sink = sinks.length
    ? `A sink that is no token takes part, with score ${sinks.join(", ")}.`
    : "";
  return [sink, note].filter(Boolean).join(" ");
}

/** "Decoder self-attention, layer 1, head 0 of 4: ‘it’": under the title of a saved picture. */
export function caption({ data, queryName }: QueryKeyPicture, scene: Scene): string {
  const { kind, layer } = data.frame.key;
  const heads = data.heads.length === 1 ? "head" : "heads";
  const title = kindInfo(scene, kind)?.title ?? "Attention";
  return `${title}, layer ${layer}, ${heads} ${data.heads.join(", ")}: where ${queryName} looks, and why`;
}

/** "12 of 2,048 tokens may be looked at". */
export function countWords({ data }: QueryKeyPicture): string {
  let seen = 0;
  for (let key = 0; key < data.nKeys; key++) if (!data.isHidden(0, key)) seen += 1;
  return seen === data.nKeys
    ? `${formatCount(seen)} keys`
    : `${formatCount(seen)} of ${formatCount(data.nKeys)} keys may be looked at`;
}
