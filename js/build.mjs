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
/** A saved page has beside its view what makes pictures where no kernel does. */
const MAX_BYTES_OF_PAGE = 40_000;

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

/** Refuses a page's code that is much larger than its view's. */
const limit = (view) => ({
  name: "limit",
  setup(build) {
    build.onEnd(async (result) => {
      if (result.errors.length) return;
      const { size } = await stat(join(STATIC, `saved_page_${view}.js`));
      const most = (MAX_BYTES_OF[view] ?? MAX_BYTES) + MAX_BYTES_OF_PAGE;
      if (size > most) throw new Error(`saved_page_${view}.js has ${size} bytes; limit ${most}`);
    });
  },
});

const shared = {
  bundle: true,
  target: "es2022",
  minify: true,
  legalComments: "none",
  // Scales here are of numbers: d3's own way from one value to another brings all colour spaces.
  alias: { "d3-interpolate": join(JS, "layer_stats_chart", "interpolate.ts") },
};

const options = (view) => ({
  ...shared,
  entryPoints: [join(JS, view, "index.ts")],
  outfile: join(STATIC, `${view}.js`),
  format: "esm",
  plugins: [report(view)],
});

/** "attention_lines" → "AttentionLinesView", its class. */
const className = (view) =>
  `${view.replace(/(^|_)([a-z])/g, (_, __, letter) => letter.toUpperCase())}View`;

/** The code of a saved page: a view, and what it has instead of a kernel. */
const pageOptions = (view) => ({
  ...shared,
  stdin: {
    contents:
      `import { ${className(view)} } from "./${view}/view";` +
      `import { open } from "./saved_page/open"; void open(${className(view)});`,
    loader: "ts",
    resolveDir: JS,
  },
  outfile: join(STATIC, `saved_page_${view}.js`),
  format: "iife",
  plugins: [limit(view)],
});

/** What runs that code, and the sheet of the page around the view. */
const loaderOptions = {
  ...shared,
  entryPoints: [join(JS, "saved_page", "loader.ts"), join(JS, "saved_page", "style.css")],
  entryNames: "saved_page_[name]",
  outdir: STATIC,
  format: "iife",
};

await mkdir(STATIC, { recursive: true });
const named = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const views = named.length ? named : VIEWS;
const unknown = views.filter((view) => !VIEWS.includes(view));
if (unknown.length) throw new Error(`No index.ts for: ${unknown.join(", ")}`);
const bundles = [...views.flatMap((view) => [options(view), pageOptions(view)]), loaderOptions];
const contexts = await Promise.all(bundles.map((bundle) => context(bundle)));
if (process.argv.includes("--watch")) {
  await Promise.all(contexts.map((bundle) => bundle.watch()));
} else {
  await Promise.all(contexts.map((bundle) => bundle.rebuild()));
  await Promise.all(contexts.map((bundle) => bundle.dispose()));
}
