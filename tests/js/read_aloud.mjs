/**
 * Shows built views without a browser and reads out what they say.
 *
 * Standard input: `{static, pages: [{view, traits, answers, acts, read}]}`; bytes are
 * `{base64}`. Standard output: for every page and act what its selectors read. The kernel's
 * answers come with the page, so that what is read went the whole way: frame, bytes, words.
 */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><body></body>", {
  pretendToBeVisual: true,
  url: "http://localhost/",
});
// jsdom takes only events and signals of its own.
const OWN = new Set(["Event", "EventTarget", "CustomEvent", "AbortController", "AbortSignal"]);
for (const name of Object.getOwnPropertyNames(window)) {
  if (OWN.has(name) || !(name in globalThis)) globalThis[name] = window[name];
}
globalThis.window = window;
globalThis.Path2D = class {
  moveTo() {}
  bezierCurveTo() {}
  lineTo() {}
  quadraticCurveTo() {}
};
globalThis.DOMMatrix = class {
  scale() {
    return this;
  }
};
globalThis.ImageData = class {};

// There is no layout: every element is as wide as a notebook's output.
Object.defineProperty(window.HTMLElement.prototype, "clientWidth", { get: () => 900 });

/** A context that draws nothing and remembers what it would write. */
function contextOf(canvas) {
  canvas.written ??= [];
  const known = {
    measureText: (words) => ({ width: 7 * words.length }),
    getTransform: () => ({ a: 1 }),
    createPattern: () => ({ setTransform() {} }),
    createImageData: (width, height) => ({ data: new Uint8ClampedArray(4 * width * height) }),
    clearRect: () => {
      canvas.written = [];
    },
    fillText: (words) => canvas.written.push(words),
  };
  return new Proxy(known, { get: (_, name) => known[name] ?? (() => {}), set: () => true });
}
window.HTMLCanvasElement.prototype.getContext = function () {
  return contextOf(this);
};

function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== "object" || value === null) return value;
  if (typeof value.base64 === "string") return new DataView(bytes(value.base64));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
}

/** Bytes in a buffer of their own, as a host hands them over. */
function bytes(base64) {
  return Uint8Array.from(Buffer.from(base64, "base64")).buffer;
}

/** anywidget's model with a kernel that knows some answers by heart. */
function createModel(traits, answers) {
  const listeners = new Map();
  const fire = (event, ...args) => {
    for (const listen of listeners.get(event) ?? []) listen(...args);
  };
  return {
    get: (name) => traits[name],
    set(name, value) {
      traits[name] = value;
      fire(`change:${name}`);
    },
    save_changes() {},
    on: (event, listen) => listeners.set(event, [...(listeners.get(event) ?? []), listen]),
    off() {},
    send(message) {
      if (message.kind === "hello") setTimeout(() => fire("msg:custom", { kind: "hello" }, []));
      if (message.kind !== "ask") return;
      const asked = JSON.stringify([message.question, Object.entries(message.args).sort()]);
      const known = answers.find(
        ({ question, args }) => JSON.stringify([question, Object.entries(args).sort()]) === asked,
      );
      if (!known) throw new Error(`nobody knows the answer to ${asked}`);
      const reply = { ...known.message, id: message.id };
      setTimeout(() => fire("msg:custom", reply, revive(known.buffers)));
    },
  };
}

const { static: folder, pages } = JSON.parse(await text(process.stdin));

async function open({ view, traits, answers }) {
  const source = await readFile(`${folder}/${view}.js`);
  const module = await import(`data:text/javascript;base64,${source.toString("base64")}`);
  const model = createModel(revive(traits), answers);
  const el = window.document.body.appendChild(window.document.createElement("div"));
  module.default().render({ model, el, signal: new window.AbortController().signal });
  return { model, el };
}

function act({ model, el }, { set = {}, on, event, press }) {
  for (const [name, value] of Object.entries(set)) model.set(name, value);
  if (event) el.querySelector(on).dispatchEvent(new window.MouseEvent(event, { bubbles: true }));
  for (const key of press ?? []) {
    const pressed = new window.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    el.querySelector(".gh").dispatchEvent(pressed);
  }
}

function readOut({ el }, read) {
  const found = {};
  for (const [name, selector] of Object.entries(read)) {
    const [path, attribute] = selector.split("@");
    found[name] = [...el.querySelectorAll(path)].map((one) =>
      attribute ? one.getAttribute(attribute) : one.textContent,
    );
  }
  found.written = [...el.querySelectorAll("canvas")].flatMap((canvas) => canvas.written ?? []);
  return found;
}

const opened = await Promise.all(pages.map(open));
const said = pages.map(() => []);
const settle = () => new Promise((resolve) => setTimeout(resolve, 120));
await settle();
for (let turn = 0; turn < Math.max(...pages.map(({ acts }) => acts.length)); turn++) {
  for (const [i, { acts }] of pages.entries()) if (acts[turn]) act(opened[i], acts[turn]);
  await settle();
  for (const [i, { acts, read }] of pages.entries()) {
    if (acts[turn]) said[i].push(readOut(opened[i], read));
  }
}
process.stdout.write(JSON.stringify(said), () => process.exit(0));
