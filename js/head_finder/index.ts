import { adapter } from "../shared/host/anywidget";
import { HeadFinderView } from "./view";

export default adapter(HeadFinderView);
