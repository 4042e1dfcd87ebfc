/** The Huffman code of HPACK (RFC 7541 appendix B), from the lengths of its codes: it is a canonical one. */

/** For each length of code, in bits, the symbols that have one, in hexadecimal; 100 is the end of string. */
const LENGTHS: readonly (readonly [bits: number, symbols: string])[] = [
  [5, '30-32 61 63 65 69 6f 73-74'],
  [6, '20 25 2d-2f 33-39 3d 41 5f 62 64 66-68 6c-6e 70 72 75'],
  [7, '3a 42-57 59 6a-6b 71 76-7a'],
  [8, '26 2a 2c 3b 58 5a'],
  [10, '21-22 28-29 3f'],
  [11, '27 2b 7c'],
  [12, '23 3e'],
  [13, '00 24 40 5b 5d 7e'],
  [14, '5e 7d'],
  [15, '3c 60 7b'],
  [19, '5c c3 d0'],
  [20, '80 82-83 a2 b8 c2 e0 e2'],
  [21, '99 a1 a7 ac b0-b1 b3 d1 d8-d9 e3 e5-e6'],
  [22, '81 84-86 88 92 9a 9c a0 a3-a4 a9-aa ad b2 b5 b9-bb bd-be c4 c6 e4 e8-e9'],
  [23, '01 87 89-8d 8f 93 95-98 9b 9d-9e a5-a6 a8 ae-af b4 b6-b7 bc bf c5 e7 ef'],
  [24, '09 8e 90-91 94 9f ab ce d7 e1 ec-ed'],
  [25, 'c7 cf ea-eb'],
  [26, 'c0-c1 c8-ca cd d2 d5 da-db ee f0 f2-f3 ff'],
  [27, 'cb-cc d3-d4 d6 dd-df f1 f4-f8 fa-fe'],
  [28, '02-08 0b-0c 0e-15 17-1f 7f dc f9'],
  [30, '0a 0d 16 100'],
];

/** The symbol that ends a string, which must never be sent. */
export const END_OF_STRING = 256;

interface Code {
  readonly code: number;
  readonly bits: number;
}

/** Codes by symbol. */
const codes: Code[] = [];
/** Symbols by `bits` and `code`, as in `5:0`. */
const symbols = new Map<string, number>();

{
  let code = 0;
  let before = 0;
  for (const [bits, ranges] of LENGTHS) {
    // Numbers: 30 bits fit in what a shift works on.
    code <<= bits - before;
    before = bits;
    for (const range of ranges.split(' ')) {
      const [first, last = first] = range.split('-').map((symbol) => parseInt(symbol, 16));
      for (let symbol = first; symbol <= last; symbol++, code++) {
        codes[symbol] = { code, bits };
        symbols.set(`${String(bits)}:${String(code)}`, symbol);
      }
    }
  }
}

/** Bits, most significant first, filled up to whole bytes. */
class BitWriter {
  private readonly bytes: number[] = [];
  private filled = 0;

  add({ code, bits }: Code): void {
    for (let bit = bits - 1; bit >= 0; bit--) {
      if (this.filled % 8 === 0) this.bytes.push(0);
      const last = this.bytes.length - 1;
      this.bytes[last] |= ((code >>> bit) & 1) << (7 - (this.filled % 8));
      this.filled++;
    }
  }

  /** The bytes; what is left of the last one is filled with ones, or with zeros. */
  finish(fill: 0 | 1): Buffer {
    while (this.filled % 8 !== 0) this.add({ code: fill, bits: 1 });
    return Buffer.from(this.bytes);
  }
}

/** How a coded string may be wrong on purpose. */
export interface HuffmanFaults {
  /** What fills the last byte up; it must be ones. */
  readonly fill?: 0 | 1;
  /** Bytes of ones behind it, which is more padding than there may be. */
  readonly extraPadding?: number;
  /** Whether the end-of-string symbol is in it. */
  readonly endOfString?: boolean;
}

export function huffmanEncode(bytes: Uint8Array, faults: HuffmanFaults = {}): Buffer {
  const writer = new BitWriter();
  for (const byte of bytes) writer.add(codes[byte]);
  if (faults.endOfString === true) writer.add(codes[END_OF_STRING]);
  const extra = Buffer.alloc(faults.extraPadding ?? 0, 0xff);
  return Buffer.concat([writer.finish(faults.fill ?? 1), extra]);
}

/** @throws Error where it is not coded by RFC 7541 section 5.2. */
export function huffmanDecode(bytes: Uint8Array): Buffer {
  const result: number[] = [];
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >>> bit) & 1);
      bits++;
      const symbol = symbols.get(`${String(bits)}:${String(code)}`);
      if (symbol === undefined) {
        if (bits >= 30) throw new Error('HPACK: not a Huffman code');
        continue;
      }
      if (symbol === END_OF_STRING) throw new Error('HPACK: end of string in a string');
      result.push(symbol);
      code = 0;
      bits = 0;
    }
  }
  if (bits > 7) throw new Error('HPACK: more than 7 bits of padding');
  if (code !== (1 << bits) - 1) throw new Error('HPACK: the padding is not all ones');
  return Buffer.from(result);
}
