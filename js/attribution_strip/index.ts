import { adapter } from "../shared/host/anywidget";
import { AttributionStripView } from "./view";

export default adapter(AttributionStripView);
