import { adapter } from "../shared/host";
import { PerplexityStripView } from "./view";

export default adapter(PerplexityStripView, { measure: true, k: true, frame: true });
