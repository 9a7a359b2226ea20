/** The traits of LayerStatsChart. */

import type { ChartFrame, CommonState, MaybeFrame } from "../shared/state";

export type ScaleName = "linear" | "log";

export interface ChartState extends CommonState {
  metric: string;
  scale: ScaleName;
  frame: MaybeFrame<ChartFrame>;
}
