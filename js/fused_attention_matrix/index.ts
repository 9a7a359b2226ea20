import { adapter } from "../shared/host/anywidget";
import { FusedAttentionMatrixView } from "./view";

export default adapter(FusedAttentionMatrixView);
