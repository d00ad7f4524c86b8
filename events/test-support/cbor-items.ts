/**
 * A second CBOR decoder, for tests only, written from RFC 8949 and sharing nothing with the codec: it keeps apart what
 * JavaScript does not, whole numbers and floats, so that encoded bytes can be held against the CDDL.
 */

export type Item =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "bytes"; readonly length: number }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "other"; readonly value: string }
  | { readonly kind: "array"; readonly items: readonly Item[] }
  | { readonly kind: "map"; readonly entries: readonly (readonly [Item, Item])[] };

/** @throws Error where the bytes are not exactly one definite-length item */
export function decodeItem(bytes: Uint8Array): Item {
  const reader = new Reader(bytes);
  const item = reader.item();
  if (reader.at !== bytes.length) throw new Error("bytes after the item");
  return item;
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new Error("cut short");
    return start;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.#view.getUint8(this.#take(1));
    if (info === 25) return this.#view.getUint16(this.#take(2));
    if (info === 26) return this.#view.getUint32(this.#take(4));
    if (info === 27) return Number(this.#view.getBigUint64(this.#take(8)));
    throw new Error(`additional information ${info}`);
  }

  item(): Item {
    const first = this.#view.getUint8(this.#take(1));
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.#simple(info);
    const argument = this.#argument(info);
    switch (major) {
      case 0:
        return { kind: "int", value: argument };
      case 1:
        return { kind: "int", value: -1 - argument };
      case 2:
        this.#take(argument);
        return { kind: "bytes", length: argument };
      case 3: {
        const start = this.#take(argument);
        const text = this.#bytes.subarray(start, this.at);
        return { kind: "text", value: new TextDecoder("utf-8", { fatal: true }).decode(text) };
      }
      case 4:
        return { kind: "array", items: Array.from({ length: argument }, () => this.item()) };
      case 5:
        return {
          kind: "map",
          entries: Array.from({ length: argument }, () => [this.item(), this.item()] as const),
        };
      default:
        return { kind: "other", value: `tag ${argument}` };
    }
  }

  #simple(info: number): Item {
    switch (info) {
      case 20:
      case 21:
        return { kind: "bool", value: info === 21 };
      case 25:
        return { kind: "float", value: half(this.#view.getUint16(this.#take(2))) };
      case 26:
        return { kind: "float", value: this.#view.getFloat32(this.#take(4)) };
      case 27:
        return { kind: "float", value: this.#view.getFloat64(this.#take(8)) };
      default:
        return { kind: "other", value: `simple ${info}` };
    }
  }
}

function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}
