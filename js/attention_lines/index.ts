import { adapter } from "../shared/host/anywidget";
import { AttentionLinesView } from "./view";

export default adapter(AttentionLinesView);
