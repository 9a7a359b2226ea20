import { beforeEach, expect, test } from "vitest";
import type { Answer, HostStatus } from "../../js/shared/host/host";
import { blockOf, createQuestion, type Question } from "../../js/shared/host/question";

interface Asked {
  question: string;
  args: Record<string, unknown>;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

let asked: Asked[];
let statusChanged: (status: HostStatus) => void;
let replies: number;
let end: AbortController;
let double: Question<{ of: number }, number>;

beforeEach(() => {
  asked = [];
  replies = 0;
  end = new AbortController();
  const host = {
    ask: (question: string, args: Record<string, unknown>) =>
      new Promise<Answer>((resolve, reject) => asked.push({ question, args, resolve, reject })),
    onStatus(callback: (status: HostStatus) => void) {
      statusChanged = callback;
    },
  };
  double = createQuestion(host, end.signal, {
    name: "double",
    read: ({ result }, { of }: { of: number }) => (result.of === of ? Number(result.double) : null),
    onReply: () => replies++,
    most: 2,
  });
});

const passed = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
const answer = async (place: number, of = asked[place]?.args.of): Promise<void> => {
  asked[place]?.resolve({ result: { of, double: 2 * Number(of) }, arrays: {} });
  await passed();
};
const fail = async (place: number, error: Error): Promise<void> => {
  asked[place]?.reject(error);
  await passed();
};
const aborted = (): Error => Object.assign(new Error("a newer one"), { name: "AbortError" });

test("the same thing is asked once, and its answer is remembered", async () => {
  double.ask({ of: 3 });
  double.ask({ of: 3 });
  expect(double.value({ of: 3 })).toBeUndefined();
  await answer(0);
  double.ask({ of: 3 });
  expect(asked.map(({ question, args }) => [question, args])).toEqual([["double", { of: 3 }]]);
  expect(double.value({ of: 3 })).toBe(6);
  expect(replies).toBe(1);
});

test("an answer about what is no more is dropped, and may be asked for anew", async () => {
  double.ask({ of: 3 });
  double.forget();
  double.ask({ of: 3 });
  await answer(0);
  expect(double.reply({ of: 3 })).toBeUndefined();
  await answer(1);
  expect(double.value({ of: 3 })).toBe(6);
  expect(replies).toBe(1);
});

test("an answer to something else than was asked is not taken", async () => {
  double.ask({ of: 3 });
  await answer(0, 4);
  expect([double.reply({ of: 3 }), replies]).toEqual([undefined, 0]);
});

test("a failure is remembered in words until the kernel comes or goes", async () => {
  double.ask({ of: 3 });
  await fail(0, new Error("There is no kernel."));
  double.ask({ of: 3 });
  expect(asked).toHaveLength(1);
  expect(double.reply({ of: 3 })).toEqual({ failure: "There is no kernel." });
  expect(double.value({ of: 3 })).toBeUndefined();
  statusChanged("ready");
  expect([double.reply({ of: 3 }), replies]).toEqual([undefined, 2]);
  double.ask({ of: 3 });
  await answer(1);
  statusChanged("busy");
  expect(double.value({ of: 3 })).toBe(6);
});

test("what a newer question took the place of is no failure", async () => {
  double.ask({ of: 3 });
  await fail(0, aborted());
  expect([double.reply({ of: 3 }), replies]).toEqual([undefined, 0]);
  double.ask({ of: 3 });
  expect(asked).toHaveLength(2);
});

test("only so many answers are kept, the newest", async () => {
  for (const [place, of] of [1, 2, 3].entries()) {
    double.ask({ of });
    await answer(place);
  }
  expect([1, 2, 3].map((of) => double.value({ of }))).toEqual([undefined, 4, 6]);
});

test("of those that are kept, the one that was not looked at longest goes first", async () => {
  for (const [place, of] of [1, 2].entries()) {
    double.ask({ of });
    await answer(place);
  }
  expect(double.value({ of: 1 })).toBe(2);
  double.ask({ of: 3 });
  await answer(2);
  expect([1, 2, 3].map((of) => double.value({ of }))).toEqual([2, undefined, 6]);
});

test("neighbours are asked for as one", () => {
  const blocks = [0, 1, 18, 19, 37, 38].map((place) => blockOf(place, 19));
  expect(blocks.map(({ first }) => first)).toEqual([0, 0, 0, 19, 19, 38]);
  expect(blocks.map(({ within }) => within)).toEqual([0, 1, 18, 0, 18, 0]);
});

test("a view that is gone hears of nothing", async () => {
  double.ask({ of: 3 });
  end.abort();
  await answer(0);
  expect(replies).toBe(0);
});
