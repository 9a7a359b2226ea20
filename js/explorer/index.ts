import { adapter } from "../shared/host/anywidget";
import { ExplorerView } from "./view";

export default adapter(ExplorerView);
