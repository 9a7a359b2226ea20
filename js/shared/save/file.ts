/** A picture as a file: SVG, or an image drawn from it. */

export type Format = "svg" | "png";

/** How a picture looks. */
export interface Look {
  theme: "light" | "dark";
  /** Without paper behind it. */
  transparent: boolean;
}

/** How a picture is wanted. */
export interface Wish extends Look {
  format: Format;
  /** Of PNG: pixels for one of the page. */
  scale: number;
}

export const FOR_PAPER: Omit<Wish, "format"> = { scale: 2, theme: "light", transparent: false };

/** What canvases of browsers hold, near enough. */
const MOST_PIXELS = 200_000_000;

export async function asFile(document_: string, { format, scale }: Wish): Promise<Blob> {
  return format === "svg"
    ? new Blob([document_], { type: "image/svg+xml" })
    : await asPng(document_, scale);
}

/** Draws an SVG document at so many times its size. */
async function asPng(document_: string, scale: number): Promise<Blob> {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([document_], { type: "image/svg+xml" }));
  try {
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(scale * image.width);
    canvas.height = Math.round(scale * image.height);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("This browser cannot draw pictures.");
    if (canvas.width * canvas.height > MOST_PIXELS) throw new Error(tooLarge(canvas));
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob) resolve(blob);
        else reject(new Error(tooLarge(canvas)));
      });
    });
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

function tooLarge({ width, height }: HTMLCanvasElement): string {
  return `A picture of ${width} × ${height} pixels is too large for this browser: take a smaller scale, or SVG.`;
}

/** Hands a file to the browser's downloads. */
export function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The download has its own hold on the content once it has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
