/**
 * HPACK (RFC 7541) for tests. What encodes is a function for each representation, so that a test can send
 * any of them, also such as must be refused; it keeps no state, which is the test's to know. What decodes
 * is complete and strict.
 */
import type { HuffmanFaults } from './huffman.js';
import { huffmanDecode, huffmanEncode } from './huffman.js';

export type Field = readonly [name: string, value: string];

/** How a field stood in its block. */
export type Representation = 'indexed' | 'incremental' | 'without' | 'never';

/** RFC 7541 appendix A. */
export const STATIC_TABLE: readonly Field[] = [
  ...[':authority', ':method GET', ':method POST', ':path /', ':path /index.html'],
  ...[':scheme http', ':scheme https', ':status 200', ':status 204', ':status 206', ':status 304'],
  ...[':status 400', ':status 404', ':status 500', 'accept-charset'],
  ...['accept-encoding gzip, deflate', 'accept-language', 'accept-ranges', 'accept'],
  ...['access-control-allow-origin', 'age', 'allow', 'authorization', 'cache-control'],
  ...['content-disposition', 'content-encoding', 'content-language', 'content-length'],
  ...['content-location', 'content-range', 'content-type', 'cookie', 'date', 'etag', 'expect'],
  ...['expires', 'from', 'host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range'],
  ...['if-unmodified-since', 'last-modified', 'link', 'location', 'max-forwards'],
  ...['proxy-authenticate', 'proxy-authorization', 'range', 'referer', 'refresh', 'retry-after'],
  ...['server', 'set-cookie', 'strict-transport-security', 'transfer-encoding', 'user-agent'],
  ...['vary', 'via', 'www-authenticate'],
].map((line) => {
  const blank = line.indexOf(' ');
  return blank < 0 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
});

/** The index of the newest entry of the dynamic table. */
export const FIRST_DYNAMIC = STATIC_TABLE.length + 1;

/** An integer (RFC 7541 section 5.1) in the last `prefix` bits of a byte that begins with `pattern`. */
export function integer(value: number, prefix: number, pattern = 0): Buffer {
  const most = 2 ** prefix - 1;
  if (value < most) return Buffer.of(pattern | value);
  const bytes = [pattern | most];
  let left = value - most;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  bytes.push(left);
  return Buffer.from(bytes);
}

/** How a string is written. */
export interface StringOptions extends HuffmanFaults {
  /** Default false. */
  readonly huffman?: boolean;
}

/** A string (RFC 7541 section 5.2); characters are bytes. */
export function string(text: string, options: StringOptions = {}): Buffer {
  const plain = Buffer.from(text, 'latin1');
  if (options.huffman !== true) return Buffer.concat([integer(plain.length, 7), plain]);
  const coded = huffmanEncode(plain, options);
  return Buffer.concat([integer(coded.length, 7, 0x80), coded]);
}

/** Section 6.1: a field that is in a table. */
export function indexed(index: number): Buffer {
  return integer(index, 7, 0x80);
}

const LITERALS = {
  incremental: { pattern: 0x40, prefix: 6 },
  without: { pattern: 0x00, prefix: 4 },
  never: { pattern: 0x10, prefix: 4 },
} as const;

/** Section 6.2: a literal field; its name a string, or the index of an entry that has the name. */
export function literal(
  name: string | number,
  value: string,
  representation: keyof typeof LITERALS = 'without',
  options: StringOptions = {},
): Buffer {
  const { pattern, prefix } = LITERALS[representation];
  const start =
    typeof name === 'number'
      ? [integer(name, prefix, pattern)]
      : [Buffer.of(pattern), string(name, options)];
  return Buffer.concat([...start, string(value, options)]);
}

/** Section 6.3: the dynamic table gets another size. */
export function sizeUpdate(size: number): Buffer {
  return integer(size, 5, 0x20);
}

/** A block of literal fields that leaves the dynamic table alone. */
export function block(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => literal(name, value)));
}

/** A field with the way in which it was sent. */
export interface DecodedField {
  readonly name: string;
  readonly value: string;
  readonly representation: Representation;
}

/** Decodes the blocks of one connection, which must all come by here, in order. */
export class HpackDecoder {
  private readonly table: Field[] = [];
  private tableSize = 0;
  private capacity: number;
  /** A size that the next block must tell first, because the limit was lowered below the capacity. */
  private mustShrinkTo: number | undefined = undefined;

  /** @param limit - What our SETTINGS_HEADER_TABLE_SIZE allows (bytes). */
  constructor(private limit = 4096) {
    this.capacity = Math.min(limit, 4096);
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE, once the peer has acknowledged it. */
  setLimit(limit: number): void {
    this.limit = limit;
    if (limit < this.capacity) this.mustShrinkTo = Math.min(limit, this.mustShrinkTo ?? limit);
  }

  /** How many bytes the dynamic table holds (RFC 7541 section 4.1). */
  get size(): number {
    return this.tableSize;
  }

  /** @throws Error where the block is not valid. */
  decode(bytes: Uint8Array): DecodedField[] {
    const reader = new BlockReader(bytes);
    const fields: DecodedField[] = [];
    while (!reader.atEnd) {
      const first = reader.peek();
      if ((first & 0xe0) === 0x20) {
        if (fields.length > 0) throw new Error('HPACK: a size update behind a field');
        this.resize(reader.integer(5));
        continue;
      }
      if (this.mustShrinkTo !== undefined) {
        throw new Error('HPACK: no size update after the limit was lowered');
      }
      fields.push(this.field(reader, first));
    }
    return fields;
  }

  private field(reader: BlockReader, first: number): DecodedField {
    if ((first & 0x80) !== 0) {
      const [name, value] = this.entry(reader.integer(7));
      return { name, value, representation: 'indexed' };
    }
    const representation =
      (first & 0x40) !== 0 ? 'incremental' : (first & 0x10) !== 0 ? 'never' : 'without';
    const index = reader.integer(LITERALS[representation].prefix);
    const name = index === 0 ? reader.string() : this.entry(index)[0];
    const value = reader.string();
    if (representation === 'incremental') this.insert([name, value]);
    return { name, value, representation };
  }

  private entry(index: number): Field {
    const entry =
      index < FIRST_DYNAMIC ? STATIC_TABLE[index - 1] : this.table[index - FIRST_DYNAMIC];
    if (entry === undefined) throw new Error(`HPACK: there is no entry ${String(index)}`);
    return entry;
  }

  private insert(entry: Field): void {
    this.table.unshift(entry);
    this.tableSize += entrySize(entry);
    this.evict();
  }

  private resize(capacity: number): void {
    if (capacity > this.limit) throw new Error(`HPACK: a table of ${String(capacity)} bytes`);
    if (this.mustShrinkTo !== undefined && capacity <= this.mustShrinkTo) {
      this.mustShrinkTo = undefined;
    }
    this.capacity = capacity;
    this.evict();
  }

  private evict(): void {
    while (this.tableSize > this.capacity) {
      const entry = this.table.pop();
      if (entry === undefined) return;
      this.tableSize -= entrySize(entry);
    }
  }
}

/** RFC 7541 section 4.1. */
export function entrySize([name, value]: Field): number {
  return name.length + value.length + 32;
}

class BlockReader {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  peek(): number {
    return this.bytes[this.at];
  }

  integer(prefix: number): number {
    const most = 2 ** prefix - 1;
    let value = this.byte() & most;
    if (value < most) return value;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > 0xffff_ffff) throw new Error('HPACK: an integer is too large');
      if (byte < 0x80) return value;
    }
  }

  string(): string {
    const isCoded = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    if (this.at + length > this.bytes.length) throw new Error('HPACK: a string is cut short');
    const raw = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return Buffer.from(isCoded ? huffmanDecode(raw) : raw).toString('latin1');
  }

  private byte(): number {
    if (this.atEnd) throw new Error('HPACK: a block is cut short');
    return this.bytes[this.at++];
  }
}
