/** Thin diagonals: here is no number. */

export function diagonals(
  context: CanvasRenderingContext2D,
  colour: string,
  falling: boolean,
): CanvasPattern | string {
  const size = 7;
  const scale = 2;
  const tile = document.createElement("canvas");
  tile.width = size * scale;
  tile.height = size * scale;
  const pen = tile.getContext("2d");
  if (!pen) return colour;
  pen.scale(scale, scale);
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - 1, falling ? -1 : size + 1);
    pen.lineTo(shift + size + 1, falling ? size + 1 : -1);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, "repeat");
  pattern?.setTransform(new DOMMatrix().scale(1 / scale));
  return pattern ?? colour;
}
