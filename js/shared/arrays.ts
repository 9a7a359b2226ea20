/** Packed binary arrays → typed arrays. */

import type { Dtype, Packed } from "./state";

export type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float32Array;

/** A typed array with its shape (C order). */
export interface NdArray {
  values: NumberArray;
  shape: readonly number[];
}

/** Bytes of an item as it travels. */
export const ITEM_SIZE: Readonly<Record<Dtype, number>> = {
  uint8: 1,
  uint16: 2,
  uint32: 4,
  int32: 4,
  float16: 2,
  float32: 4,
};

/** IEEE 754 half precision → number. */
export function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * Bytes → typed array; float16 becomes Float32Array.
 *
 * Hosts hand over DataViews (Jupyter) or Uint8Arrays (Colab), often in the middle of a larger
 * buffer: the offset is honoured, and bytes are copied when they are not aligned to the item size.
 */
export function decode(dtype: Dtype, data: ArrayBufferView | ArrayBuffer): NumberArray {
  const bytes =
    data instanceof ArrayBuffer
      ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const size = ITEM_SIZE[dtype];
  const length = Math.floor(bytes.byteLength / size);
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  switch (dtype) {
    case "uint8":
      return new Uint8Array(buffer, byteOffset, length);
    case "uint16":
      return new Uint16Array(buffer, byteOffset, length);
    case "uint32":
      return new Uint32Array(buffer, byteOffset, length);
    case "int32":
      return new Int32Array(buffer, byteOffset, length);
    case "float32":
      return new Float32Array(buffer, byteOffset, length);
    case "float16":
      return Float32Array.from(new Uint16Array(buffer, byteOffset, length), decodeHalf);
  }
}

export function unpack(packed: Packed): NumberArray {
  return decode(packed.dtype, packed.data);
}
