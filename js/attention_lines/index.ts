import { adapter } from "../shared/host";
import { AttentionLinesView } from "./view";

export default adapter(AttentionLinesView, { threshold: true, frame: true });
