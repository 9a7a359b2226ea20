/**
 * The picture for the kernel: `save_svg` and `save_png` of Python ask, the page answers with bytes.
 *
 * Must be kept in step with `widgets/glasshead/export.py`: `{kind: "draw", id, …}` comes, perhaps
 * several times, until `{kind: "drawing", id, by}` says that somebody draws; then the file goes in
 * parts as `{kind: "drawn", id, by, part, parts}` with a buffer each, or `error` in words.
 */

import { FOR_PAPER, type Wish } from "../save/file";

export interface PicturePort {
  send(message: Record<string, unknown>, buffers?: ArrayBuffer[]): void;
  listen(callback: (message: unknown) => void): void;
}

/** Bytes in a message: more than 10 MB would end the connection. */
export const PART = 1 << 20;

export function answerPictures(port: PicturePort, make: (wish: Wish) => Promise<Blob>): void {
  // Several displays of one view all answer; the kernel takes the first.
  const by = Math.random().toString(36).slice(2, 10);
  const begun = new Set<string>();
  const draw = async (id: string, wish: Wish): Promise<void> => {
    port.send({ kind: "drawing", id, by });
    try {
      const bytes = await (await make(wish)).arrayBuffer();
      const parts = Math.max(1, Math.ceil(bytes.byteLength / PART));
      for (let part = 0; part < parts; part++) {
        const buffer = bytes.slice(part * PART, (part + 1) * PART);
        port.send({ kind: "drawn", id, by, part, parts }, [buffer]);
      }
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      port.send({ kind: "drawn", id, by, error: words });
    }
  };
  port.listen((message) => {
    const asked = message as Partial<Wish> & { kind?: unknown; id?: unknown };
    if (asked?.kind !== "draw" || typeof asked.id !== "string" || begun.has(asked.id)) return;
    begun.add(asked.id);
    void draw(asked.id, wishOf(asked));
  });
}

function wishOf({ format, scale, theme, transparent }: Partial<Wish>): Wish {
  return {
    format: format === "png" ? "png" : "svg",
    scale: Number(scale) > 0 ? Number(scale) : FOR_PAPER.scale,
    theme: theme === "dark" ? "dark" : "light",
    transparent: transparent === true,
  };
}
