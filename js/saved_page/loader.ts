/** Runs the view of a saved page; the page's policy names the hash of its code. */

import { stored } from "./stored";

async function run(): Promise<void> {
  const code = document.createElement("script");
  code.textContent = new TextDecoder().decode(await stored("gh-code"));
  document.body.append(code);
}

run().catch((error: unknown) => {
  const said = document.getElementById("gh-failed");
  if (!said) return;
  said.hidden = false;
  said.append(` (${error instanceof Error ? error.message : String(error)})`);
});
