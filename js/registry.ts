/**
 * All views, a line each.
 *
 * A view is a folder with an `index.ts`, its module for anywidget. What shows more than one view,
 * as the gallery does, takes them from here.
 */
export { ActivationMapView } from "./activation_map/view";
export { AttentionLinesView } from "./attention_lines/view";
export { AttributionStripView } from "./attribution_strip/view";
export { ExplorerView } from "./explorer/view";
export { FusedAttentionMatrixView } from "./fused_attention_matrix/view";
export { HeadFinderView } from "./head_finder/view";
export { LayerStatsChartView } from "./layer_stats_chart/view";
export { PatchGridView } from "./patch_grid/view";
export { PerplexityStripView } from "./perplexity_strip/view";
export { QueryKeyViewView } from "./query_key_view/view";
export { TokenTableView } from "./token_table/view";
