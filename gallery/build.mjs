/**
 * Builds gallery/dist/index.html, one page that needs no network and no Jupyter, out of the
 * recorded states and the views' sources.
 *
 * python gallery/record.py && npm run gallery [RECORDED PAGE]
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleStyle, VIEWS } from "../js/folders.mjs";

const GALLERY = dirname(fileURLToPath(import.meta.url));
const [
  RECORDED = join(GALLERY, "recorded", "states.json"),
  PAGE = join(GALLERY, "dist", "index.html"),
] = process.argv.slice(2);

if (!existsSync(RECORDED)) {
  throw new Error("Nothing is recorded yet. Run: python gallery/record.py");
}
const { outputFiles } = await build({
  entryPoints: [join(GALLERY, "page.ts")],
  bundle: true,
  write: false,
  format: "iife",
  target: "es2022",
  minify: true,
  legalComments: "none",
});
const style = await bundleStyle(VIEWS, join(GALLERY, "page.css"));
// Token text may hold "</script>": no "<" gets into the page outside a JSON string escape.
const recorded = (await readFile(RECORDED, "utf8")).replaceAll("<", "\\u003c");
const script = outputFiles[0].text.replaceAll("</script", "<\\/script");
const page = `<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>Glasshead gallery</title>
<style>${style.text}</style>
</head>
<body>
<script type="application/json" id="recorded">${recorded}</script>
<script>${script}</script>
</body>
</html>
`;
await mkdir(dirname(PAGE), { recursive: true });
await writeFile(PAGE, page);
console.log(`${PAGE}  ${(page.length / 1e6).toFixed(1)} MB`);
