import { adapter } from "../shared/host";
import { FusedAttentionMatrixView } from "./view";

export default adapter(FusedAttentionMatrixView, { aggregate: true, scale: true, frame: true });
