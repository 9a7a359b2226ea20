/** The licences of the packages whose code is in a bundle: they ask to go where their code goes. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const PACKAGE = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
const LICENCE_FILE = /^(licen[cs]e|copying)(\.(md|txt))?$/i;

/** Folders of the packages whose code esbuild has put into its outputs. */
export function packagesIn({ outputs }) {
  const files = Object.values(outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0),
  );
  const found = files.map((path) => PACKAGE.exec(path)?.[0]).filter((path) => path !== undefined);
  return [...new Set(found)].map((path) => resolve(path)).sort();
}

/** What those packages ask to be said: names and versions above the licence that they share. */
export function noticesOf(folders) {
  const named = new Map();
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, "package.json"), "utf8"),
    );
    const file = readdirSync(folder).find((one) => LICENCE_FILE.test(one));
    if (!file) throw new Error(`${name} ${version} is bundled, and no licence lies beside it.`);
    const text = readFileSync(join(folder, file), "utf8").trim().replace(/\r\n/g, "\n");
    const known = named.get(text) ?? [];
    named.set(text, [...known, `${name} ${version} (${license})`]);
  }
  return [...named].map(([text, packages]) => `${packages.sort().join(", ")}\n\n${text}`).sort();
}

/** The same as a comment at the end of a bundle; "" where it holds nobody else's code. */
export function comment(folders) {
  const notices = noticesOf(folders).join("\n\n");
  return notices && `/*! Contains code of ${notices.replaceAll("*/", "* /")}\n*/\n`;
}

/** The file that lies beside LICENSE. */
export function licencesFile(folders) {
  return [
    "What is built of Glasshead's views, in its wheel and in every page that it saves, contains code of\nthe packages below. js/build.mjs writes this file.",
    ...noticesOf(folders),
    "",
  ].join("\n\n");
}
