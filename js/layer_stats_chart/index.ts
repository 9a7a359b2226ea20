import { adapter } from "../shared/host/anywidget";
import { LayerStatsChartView } from "./view";

export default adapter(LayerStatsChartView);
