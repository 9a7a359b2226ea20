import { adapter } from "../shared/host";
import { LayerStatsChartView } from "./view";

export default adapter(LayerStatsChartView, {
  metrics: true,
  metric: true,
  quantity: true,
  scale: true,
  frame: true,
  detail: true,
});
