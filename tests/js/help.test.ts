/** Help is true of both themes: what is dark on paper is bright on a dark page. */

import { expect, test } from "vitest";
import { HELP as ACTIVATIONS } from "../../js/activation_map/help";
import { HELP as LINES } from "../../js/attention_lines/help";
import { HELP as ATTRIBUTION } from "../../js/attribution_strip/help";
import { HELP as EXPLORER } from "../../js/explorer/help";
import { HELP as MATRIX } from "../../js/fused_attention_matrix/help";
import { HELP as FINDER } from "../../js/head_finder/help";
import { HELP as PATCHES } from "../../js/patch_grid/help";
import { HELP as STRIP } from "../../js/perplexity_strip/help";

test("no help calls what is strong dark, or bright", () => {
  const said = [ACTIVATIONS, ATTRIBUTION, LINES, EXPLORER, MATRIX, FINDER, PATCHES, STRIP].flat();
  expect(said.length).toBeGreaterThan(10);
  expect(said.filter((words) => /\b(dark|pale|bright|light)(er|est)\b/i.test(words))).toEqual([]);
});
