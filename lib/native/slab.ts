/** Slabs: the memory of slots, seen from JavaScript. A string is made when somebody reads it. */
import { Buffer } from 'node:buffer';
import type { Lane } from './addon.js';

/** The addon's answer for bytes that are too long to be kept; see Lane.intern. */
const NOT_KEPT = -2147483648;

/** The strings of the addon's table of bytes seen before, by place. One for each lane. */
export class InternedStrings {
  private readonly strings: string[] = new Array<string>(1024).fill('');

  constructor(private readonly lane: Lane) {}

  /** The ASCII or Latin-1 text of bytes in a slab. */
  read(slab: Slab, offset: number, length: number): string {
    const place = this.lane.intern(slab.number, offset, length);
    if (place >= 0) return this.strings[place];
    const text = slab.bytes.latin1Slice(offset, offset + length);
    if (place !== NOT_KEPT) this.strings[-1 - place] = text;
    return text;
  }
}

/** Buffer's own methods for one encoding: they skip the checks and the dispatch of `toString`. */
export interface RawBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number, length?: number): number;
  utf8Write(text: string, offset: number, length?: number): number;
}

/** The views of one slab. Offsets are bytes from the slab's start. */
export class Slab {
  readonly bytes: RawBuffer;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;

  constructor(
    readonly number: number,
    memory: ArrayBuffer,
    readonly slotSize: number,
    private readonly interned: InternedStrings,
  ) {
    this.bytes = Buffer.from(memory) as RawBuffer;
    this.halves = new Uint16Array(memory);
    this.words = new Uint32Array(memory);
  }

  /** The text of ASCII bytes, from the table of those seen before where it has them. */
  ascii(offset: number, length: number): string {
    if (length === 0) return '';
    return this.interned.read(this, offset, length);
  }

  /** The text of UTF-8 bytes. */
  utf8(offset: number, length: number): string {
    return length === 0 ? '' : this.bytes.utf8Slice(offset, offset + length);
  }
}
