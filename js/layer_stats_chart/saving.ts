/** The buttons that take the picture home as a file, and what is in it. */

import { button, h } from "../shared/dom";
import { asPng, asSvg, download, type Sheet } from "../shared/save";
import type { ChartData, Heat } from "./data";
import { legendWords } from "./readout";
import { formatValue } from "./scales";

export interface NamedSheet extends Sheet {
  name: string;
}

export interface Shown {
  data: ChartData;
  /** The heat map, where it is what is shown. */
  heat: Heat | null;
  chart: SVGElement;
  panels: HTMLElement;
  root: HTMLElement;
  model: string;
}

/** The chart with its words, and the pictures of the panels beside it. */
export function sheetOf({ data, heat, chart, panels, root, model }: Shown): NamedSheet {
  const { frame, series } = data;
  const style = getComputedStyle(root);
  const words = heat
    ? [`Colour: ${formatValue(heat.min)} (paper) to ${formatValue(heat.max)}, ${heat.label}.`]
    : [`Series: ${series.map(({ label }) => label).join(", ")}.`, ...legendWords(data)];
  const beside = [...panels.querySelectorAll(".gh-panel")].flatMap((panel) => {
    const picture = panel.querySelector<SVGElement>(".gh-panel-chart");
    const title = panel.querySelector("figcaption")?.textContent ?? "";
    return picture ? [{ picture, title }] : [];
  });
  return {
    name: `glasshead-${frame.key.metric.replaceAll("_", "-")}`,
    title: frame.title,
    unit: [frame.unit, model].filter(Boolean).join(" — "),
    words: [frame.partial && `So far: ${frame.partial}.`, ...words, frame.note].filter(Boolean),
    pictures: [{ picture: chart, title: "" }, ...beside],
    paper: style.backgroundColor,
    ink: style.color,
    font: style.fontFamily,
  };
}

/** SVG and PNG; `sheet` says what is on the page now, `fail` hears why it could not be saved. */
export function savers(sheet: () => NamedSheet | null, fail: (words: string) => void): HTMLElement {
  const save = async (kind: "svg" | "png"): Promise<void> => {
    const now = sheet();
    if (!now) return;
    const document_ = asSvg(now);
    const content =
      kind === "svg" ? new Blob([document_], { type: "image/svg+xml" }) : await asPng(document_);
    download(`${now.name}.${kind}`, content);
  };
  const saver = (kind: "svg" | "png"): HTMLElement =>
    button(
      "gh-button",
      () => {
        save(kind).catch((error: unknown) =>
          fail(error instanceof Error ? error.message : String(error)),
        );
      },
      {
        attrs: { title: `Save the picture as ${kind.toUpperCase()}` },
        aria: { label: `Save as ${kind.toUpperCase()}` },
        data: { action: `save-${kind}` },
      },
      kind.toUpperCase(),
    );
  return h("div", { class: "gh-savers" }, saver("svg"), saver("png"));
}
