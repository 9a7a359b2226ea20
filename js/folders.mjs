/** The views by their folders: whatever has an `index.ts` is one. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const JS = dirname(fileURLToPath(import.meta.url));
export const VIEWS = readdirSync(JS).filter((name) => existsSync(join(JS, name, "index.ts")));

/** The style sheets of some views, in the order of the cascade. */
export function sheetsOf(views) {
  return [join(JS, "shared", "theme.css"), ...views.map((view) => join(JS, view, "style.css"))];
}
