/**
 * Bundles each view into one ES module and one style sheet that anywidget reads as text.
 *
 * node js/build.mjs [--watch] [view …]      (all views unless some are named)
 */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { context } from "esbuild";
import { bundleStyle, JS, VIEWS } from "./folders.mjs";

const STATIC = join(JS, "..", "widgets", "glasshead", "static");
/** Every instance of a widget carries its module to the browser, hence the limit. */
const MAX_BYTES = 110_000;
/** An explorer carries the modules of all its panes. */
const MAX_BYTES_OF = { explorer: 275_000 };

/** An esbuild plugin that writes the style sheet with the module and reports both sizes. */
const report = (view) => ({
  name: "report",
  setup(build) {
    let style;
    build.onEnd(async (result) => {
      if (result.errors.length) return;
      await writeFile(join(STATIC, `${view}.css`), style.text);
      const { size } = await stat(join(STATIC, `${view}.js`));
      const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
      const sizes = `js ${kilobytes(size).padStart(8)}   css ${kilobytes(style.text.length)}`;
      console.log(`${view.padEnd(24)} ${sizes}`);
      const most = MAX_BYTES_OF[view] ?? MAX_BYTES;
      if (size > most) {
        throw new Error(`${view}.js is ${kilobytes(size)}; the limit is ${kilobytes(most)}`);
      }
    });
    // The style sheet is not imported by the module: name it, so that --watch sees its changes.
    build.onLoad({ filter: /index\.ts$/ }, async ({ path }) => {
      style = await bundleStyle([view]);
      return { contents: await readFile(path, "utf8"), loader: "ts", watchFiles: style.files };
    });
  },
});

const options = (view) => ({
  entryPoints: [join(JS, view, "index.ts")],
  outfile: join(STATIC, `${view}.js`),
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  // Scales here are of numbers: d3's own way from one value to another brings all colour spaces.
  alias: { "d3-interpolate": join(JS, "layer_stats_chart", "interpolate.ts") },
  plugins: [report(view)],
});

await mkdir(STATIC, { recursive: true });
const named = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const views = named.length ? named : VIEWS;
const unknown = views.filter((view) => !VIEWS.includes(view));
if (unknown.length) throw new Error(`No index.ts for: ${unknown.join(", ")}`);
const contexts = await Promise.all(views.map((view) => context(options(view))));
if (process.argv.includes("--watch")) {
  await Promise.all(contexts.map((bundle) => bundle.watch()));
} else {
  await Promise.all(contexts.map((bundle) => bundle.rebuild()));
  await Promise.all(contexts.map((bundle) => bundle.dispose()));
}
