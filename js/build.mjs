/**
 * Bundles each view into one ES module and one style sheet that anywidget reads as text.
 *
 * node js/build.mjs [--watch] [view …]      (all views unless some are named)
 */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { context } from "esbuild";
import { bundleStyle, JS, VIEWS } from "./folders.mjs";
import { comment, licencesFile, packagesIn } from "./notices.mjs";

const ROOT = join(JS, "..");
const STATIC = join(ROOT, "widgets", "glasshead", "static");
const LICENCES = join(ROOT, "THIRD_PARTY_LICENSES.txt");
/** Every instance of a widget carries its module to the browser, hence the limit. */
const MAX_BYTES = 110_000;
/**
 * An explorer carries the modules of all its panes; a matrix draws weights, differences, scores;
 * attribution is a text and a matrix; a finder has heads, and rows of them.
 */
const MAX_BYTES_OF = {
  explorer: 318_000,
  fused_attention_matrix: 115_000,
  attribution_strip: 113_000,
  head_finder: 118_000,
};
/** A saved page has beside its view what makes pictures where no kernel does. */
const MAX_BYTES_OF_PAGE = 42_000;
const mostOf = (view) => MAX_BYTES_OF[view] ?? MAX_BYTES;

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
/** Folders of the packages that are in any bundle. */
const packages = new Set();

/** An esbuild plugin that writes a bundle with the licences of what is in it, unless it is too large. */
const written = (most) => ({
  name: "written",
  setup(build) {
    build.onEnd(async ({ errors, metafile, outputFiles }) => {
      if (errors.length) return;
      const inside = packagesIn(metafile);
      for (const folder of inside) packages.add(folder);
      for (const { path, text } of outputFiles) {
        const whole = path.endsWith(".js") ? text + comment(inside) : text;
        const size = Buffer.byteLength(whole);
        if (size > most) {
          const limit = `the limit is ${kilobytes(most)}`;
          throw new Error(`${basename(path)} is ${kilobytes(size)}; ${limit}`);
        }
        await writeFile(path, whole);
      }
    });
  },
});

/** An esbuild plugin that writes the style sheet with the module and reports both sizes. */
const styled = (view) => ({
  name: "styled",
  setup(build) {
    let style;
    build.onEnd(async (result) => {
      if (result.errors.length) return;
      await writeFile(join(STATIC, `${view}.css`), style.text);
      const { size } = await stat(join(STATIC, `${view}.js`));
      const sizes = `js ${kilobytes(size).padStart(8)}   css ${kilobytes(style.text.length)}`;
      console.log(`${view.padEnd(24)} ${sizes}`);
    });
    // The style sheet is not imported by the module: name it, so that --watch sees its changes.
    build.onLoad({ filter: /index\.ts$/ }, async ({ path }) => {
      style = await bundleStyle([view]);
      return { contents: await readFile(path, "utf8"), loader: "ts", watchFiles: style.files };
    });
  },
});

const shared = {
  bundle: true,
  target: "es2022",
  minify: true,
  write: false,
  metafile: true,
  // Scales here are of numbers: d3's own way from one value to another brings all colour spaces.
  alias: { "d3-interpolate": join(JS, "layer_stats_chart", "interpolate.ts") },
};

const options = (view) => ({
  ...shared,
  entryPoints: [join(JS, view, "index.ts")],
  outfile: join(STATIC, `${view}.js`),
  format: "esm",
  plugins: [written(mostOf(view)), styled(view)],
});

/** "attention_lines" → "AttentionLinesView", its class. */
const className = (view) =>
  `${view.replace(/(^|_)([a-z])/g, (_, __, letter) => letter.toUpperCase())}View`;

/** An explorer's page may carry several runs of the model, and one of all heads rows of an atlas. */
const OPENERS = { explorer: "open_runs", head_finder: "open_rows" };
const opener = (view) => OPENERS[view] ?? "open";

/** The code of a saved page: a view, and what it has instead of a kernel. */
const pageOptions = (view) => ({
  ...shared,
  stdin: {
    contents:
      `import { ${className(view)} } from "./${view}/view";` +
      `import { open } from "./saved_page/${opener(view)}"; void open(${className(view)});`,
    loader: "ts",
    resolveDir: JS,
  },
  outfile: join(STATIC, `saved_page_${view}.js`),
  format: "iife",
  plugins: [written(mostOf(view) + MAX_BYTES_OF_PAGE)],
});

/** What runs that code, and the sheet of the page around the view. */
const loaderOptions = {
  ...shared,
  entryPoints: [join(JS, "saved_page", "loader.ts"), join(JS, "saved_page", "style.css")],
  entryNames: "saved_page_[name]",
  outdir: STATIC,
  format: "iife",
  plugins: [written(MAX_BYTES_OF_PAGE)],
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
  if (!named.length) await writeFile(LICENCES, licencesFile([...packages].sort()));
}
