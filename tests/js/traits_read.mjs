/**
 * Which traits built views read: `node traits_read.mjs static view …` writes them by view, as JSON.
 *
 * A view takes its traits before it draws; there is nothing to draw on here, and that is all right.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const [folder, ...views] = process.argv.slice(2);
const read = {};
console.error = () => {};
for (const view of views) {
  const source = await readFile(join(folder, `${view}.js`));
  const module = await import(`data:text/javascript;base64,${source.toString("base64")}`);
  const names = new Set();
  const model = {
    get: (name) => void names.add(name),
    set() {},
    on() {},
    off() {},
    save_changes() {},
    send() {
      throw new Error("There is no kernel.");
    },
  };
  const el = { append() {}, closest: () => null, classList: { add() {} } };
  module.default().render({ model, el });
  read[view] = [...names].sort();
}
process.stdout.write(JSON.stringify(read), () => process.exit(0));
