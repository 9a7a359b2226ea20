import { adapter } from "../shared/host/anywidget";
import { PatchGridView } from "./view";

export default adapter(PatchGridView);
