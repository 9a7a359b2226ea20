/** The runs that a page of an explorer carries: the one that it opens with, and others without heads. */

import { runName } from "../explorer/run_name";
import type { OffHead, OffHow } from "../explorer/state";
import type { InsteadOfKernel, Json, Reply } from "../shared/host/stand_in";
import type { Contents } from "./contents";
import { type Role, SavedPage } from "./instead";

type Load = (element: string) => Promise<Uint8Array<ArrayBuffer>>;

/** Pictures of another run, which answer the same state. */
const OF_A_RUN = ["lines_frame", "matrix_frame", "strip_frame", "finder_frame"] as const;

export class SavedRuns implements InsteadOfKernel {
  readonly #refusal: string;
  readonly #first: SavedPage;
  readonly #runs: ReadonlyMap<string, SavedPage>;
  /** Of which run the pictures are that are shown; null = none is yet. */
  #shown: SavedPage | null = null;
  #calls = 0;

  constructor(contents: Contents, role: Role, load: Load) {
    const { state, runs, refusal } = contents;
    this.#refusal = refusal;
    this.#first = new SavedPage(contents, role, load);
    const others = runs.map(
      ({ off, how, ...of }) =>
        [runName(off, how), new SavedPage({ ...contents, ...of }, role, load)] as const,
    );
    this.#runs = new Map([[nameOf(state), this.#first], ...others]);
  }

  can(question: string): boolean {
    if (question === "without") return this.#runs.size > 1;
    if (question.startsWith("without ")) return this.#runs.has(question);
    return this.#first.can(question);
  }

  follow(state: Json, before: Json): Json {
    return this.#first.follow(state, before);
  }

  async pictures(state: Json): Promise<Json> {
    const call = ++this.#calls;
    const run = this.#of(state);
    const blank = Object.fromEntries(OF_A_RUN.map((name) => [name, {}]));
    const drawn = await run.pictures(run === this.#shown ? state : { ...state, ...blank });
    // What was overtaken is not shown.
    if (call === this.#calls) this.#shown = run;
    return drawn;
  }

  async reply(state: Json, asked: string, args: Json): Promise<Reply> {
    return this.#of(state).reply(state, asked, args);
  }

  #of(state: Json): SavedPage {
    const run = this.#runs.get(nameOf(state));
    if (!run) throw new Error(this.#refusal);
    return run;
  }
}

function nameOf({ off, off_how }: Json): string {
  return runName((off ?? []) as readonly OffHead[], (off_how ?? "zero") as OffHow);
}
