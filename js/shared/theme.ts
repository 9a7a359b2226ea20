/** Which theme the host shows, and the colours a canvas needs from the style sheet. */

import type { Rgb, Theme } from "./palette";
import { flushAll } from "./schedule";
import type { ThemeTrait } from "./state";

export interface ThemeWatch {
  readonly current: Theme;
  /** Shows a theme whatever the host shows; null = follows it again. */
  force(theme: Theme | null): void;
  /** Looks again (the `theme` trait changed). */
  refresh(): void;
}

const DARK_CLASSES = ["dark", "vscode-dark", "vscode-high-contrast"];

/**
 * Where the system has colours of its own, all paper has them: the ink goes by them. Else the trait
 * decides; then what the host declares; then how bright the page behind us is.
 */
export function detectTheme(root: HTMLElement, trait: ThemeTrait): Theme {
  if (window.matchMedia?.("(forced-colors: active)").matches) return preferredTheme();
  if (trait !== "auto") return trait;
  return declaredTheme() ?? backgroundTheme(root) ?? preferredTheme();
}

function declaredTheme(): Theme | null {
  const { body, documentElement: html } = document;
  const jupyter = body.getAttribute("data-jp-theme-light");
  if (jupyter !== null) return jupyter === "false" ? "dark" : "light";
  const code = body.getAttribute("data-vscode-theme-kind");
  if (code !== null) return /dark|high-contrast$/.test(code) ? "dark" : "light";
  for (const element of [html, body]) {
    // Colab sets theme=dark on <html>; MyST, marimo and others data-theme or a class.
    const named = element.getAttribute("theme") ?? element.getAttribute("data-theme");
    if (named === "dark" || named === "light") return named;
    if (DARK_CLASSES.some((name) => element.classList.contains(name))) return "dark";
  }
  return null;
}

function backgroundTheme(root: HTMLElement): Theme | null {
  let node: Node | null = root.parentNode;
  while (node) {
    if (node instanceof HTMLElement) {
      const colour = parseRgb(getComputedStyle(node).backgroundColor);
      if (colour) return luminance(colour) < 0.4 ? "dark" : "light";
    }
    node = node instanceof ShadowRoot ? node.host : node.parentNode;
  }
  return null;
}

function preferredTheme(): Theme {
  return window.matchMedia?.("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function luminance([r, g, b]: Rgb): number {
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

/** "rgb(1, 2, 3)" → numbers; null when it is not that or is see-through. */
export function parseRgb(text: string): Rgb | null {
  const numbers = text.startsWith("rgb") ? text.match(/[\d.]+/g)?.map(Number) : undefined;
  const [r, g, b, alpha = 1] = numbers ?? [];
  if (r === undefined || g === undefined || b === undefined || alpha < 0.5) return null;
  return [r, g, b];
}

/** Keeps `data-theme` on the root right and calls back when it changes. */
export function watchTheme(
  root: HTMLElement,
  trait: () => ThemeTrait,
  onChange: (theme: Theme) => void,
  signal: AbortSignal,
): ThemeWatch {
  let current: Theme = "light";
  let forced: Theme | null = null;
  const refresh = (): void => {
    const next = forced ?? detectTheme(root, trait());
    // A forced theme must not take its colours from a host that shows the other one.
    root.dataset.colours = !forced && trait() === "auto" ? "host" : "own";
    const changed = next !== root.dataset.theme;
    root.dataset.theme = next;
    current = next;
    if (changed) onChange(next);
  };
  const observer = new MutationObserver(refresh);
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, { attributes: true });
  }
  const media = window.matchMedia?.("(prefers-color-scheme: dark)");
  media?.addEventListener?.("change", refresh, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
  refresh();
  const watch: ThemeWatch = {
    get current() {
      return current;
    },
    refresh,
    force(theme) {
      forced = theme;
      refresh();
    },
  };
  WATCHES.set(root, watch);
  return watch;
}

const WATCHES = new WeakMap<Element, ThemeWatch>();

/** Runs `job` while a view, and those inside it, stand still in a theme; then all is as before. */
export function inTheme<T>(root: HTMLElement, theme: Theme, job: () => T): T {
  const roots = [root, ...root.querySelectorAll<HTMLElement>(".gh")];
  const force = (to: Theme | null): void => {
    for (const one of roots) {
      one.classList.toggle("is-still", to !== null);
      WATCHES.get(one)?.force(to);
    }
    flushAll();
  };
  force(theme);
  try {
    return job();
  } finally {
    force(null);
  }
}

/** Colours for drawing on a canvas, as the style sheet has them now. */
export interface Inks {
  paper: Rgb;
  ink: string;
  soft: string;
  faint: string;
  hairline: string;
  font: string;
}

export function readInks(root: HTMLElement, theme: Theme): Inks {
  const style = getComputedStyle(root);
  const value = (name: string, fallback: string): string =>
    style.getPropertyValue(name).trim() || fallback;
  const dark = theme === "dark";
  return {
    paper: parseRgb(style.backgroundColor) ?? (dark ? [17, 17, 17] : [255, 255, 255]),
    ink: value("--gh-ink", dark ? "#eceef1" : "#1b1e23"),
    soft: value("--gh-ink-soft", dark ? "#a9afb8" : "#5a616b"),
    faint: value("--gh-ink-faint", dark ? "#868d97" : "#69717a"),
    hairline: value("--gh-line", dark ? "#33373d" : "#dfe2e6"),
    font: style.fontFamily || "system-ui, sans-serif",
  };
}
