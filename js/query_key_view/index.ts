import { adapter } from "../shared/host/anywidget";
import { QueryKeyViewView } from "./view";

export default adapter(QueryKeyViewView);
