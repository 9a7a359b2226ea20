/** Numbers with their sign: "+1.84", "−0.07", "+2e−5"; nothing is called 0 that is not. */

/** Three digits that say something; the sign always. */
export function signed(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (value === Infinity || value === -Infinity) return value < 0 ? "−∞" : "∞";
  if (value === 0) return "0";
  return (value < 0 ? "−" : "+") + amount(Math.abs(value));
}

/** Three digits however small: "+0.0214", "−2.31", "+1.24e−5". */
export function threeDigits(value: number): string {
  const size = Math.abs(value);
  if (!(size > 0 && size < 999.5)) return signed(value);
  const text = size >= 0.001 ? size.toPrecision(3) : size.toExponential(2).replace("-", "−");
  return (value < 0 ? "−" : "+") + text;
}

/** As `signed` without a plus, for what is not added to anything. */
export function plain(value: number): string {
  return signed(value).replace(/^\+/, "");
}

function amount(size: number): string {
  if (size >= 1e5 || size < 0.001)
    return size.toExponential(1).replace("-", "−").replace("e+", "e");
  if (size >= 100) return size.toFixed(0);
  if (size >= 10) return size.toFixed(1);
  return size.toFixed(size >= 0.1 ? 2 : 3);
}

/** For a cell of a picture: "+1.8", "−.07". */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size < 0.005) return "";
  const text = size >= 10 ? size.toFixed(0) : size >= 1 ? size.toFixed(1) : size.toFixed(2);
  return (value < 0 ? "−" : "+") + text.replace(/^0\./, ".");
}

/** As many digits as a single-precision number is good for, for who looks at one number. */
export function exact(value: number): string {
  if (!Number.isFinite(value) || value === 0) return plain(value);
  const size = Math.abs(value);
  const small = size < 0.001 || size >= 1e5;
  const text = small
    ? size.toExponential(3).replace("e+", "e")
    : Number(size.toPrecision(4)).toString();
  return (value < 0 ? "−" : "") + text.replace("-", "−");
}
