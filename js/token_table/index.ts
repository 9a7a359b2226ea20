import { adapter } from "../shared/host/anywidget";
import { TokenTableView } from "./view";

export default adapter(TokenTableView);
