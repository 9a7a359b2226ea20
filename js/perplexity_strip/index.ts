import { adapter } from "../shared/host/anywidget";
import { PerplexityStripView } from "./view";

export default adapter(PerplexityStripView);
