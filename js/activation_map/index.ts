import { adapter } from "../shared/host/anywidget";
import { ActivationMapView } from "./view";

export default adapter(ActivationMapView);
