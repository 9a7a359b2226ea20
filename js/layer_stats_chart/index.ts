import { adapter } from "../shared/host";
import { LayerStatsChartView } from "./view";

export default adapter(LayerStatsChartView, { metric: true, scale: true, frame: true });
