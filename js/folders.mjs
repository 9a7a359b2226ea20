/** The views by their folders: whatever has an `index.ts` is one. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const JS = dirname(fileURLToPath(import.meta.url));
export const VIEWS = readdirSync(JS).filter((name) => existsSync(join(JS, name, "index.ts")));

/** One sheet out of the theme and the sheets of some views, with all that they import. */
export async function bundleStyle(views, ...more) {
  const sheets = [...views.map((view) => join(JS, view, "style.css")), ...more];
  const contents = [join(JS, "shared", "theme.css"), ...sheets]
    .map((path) => `@import ${JSON.stringify(path)};`)
    .join("\n");
  const { outputFiles, metafile } = await build({
    stdin: { contents, loader: "css", resolveDir: JS },
    bundle: true,
    minify: true,
    target: "es2022",
    write: false,
    metafile: true,
  });
  const files = Object.keys(metafile.inputs).filter((path) => path.endsWith(".css"));
  return { text: outputFiles[0].text, files: files.map((path) => resolve(path)) };
}
