/**
 * Orders to the core, written as bytes into memory that it reads when the batch returns or, outside a
 * batch, once per turn of Node's loop: no call per answer.
 *
 * A command is six words and then its bytes (shared-layout.txt says what they mean).
 */
import { Buffer } from 'node:buffer';
import type { Lane } from './addon.js';
import { Command, CommandFlag, Control } from './generated/shared-layout.js';
import type { RawBuffer } from './slab.js';

const HEAD_BYTES = Command.WORDS * 4;
/** What follows FILE: offset and count. */
const FILE_BYTES = 16;
/** Longer bodies are not copied but sent from where they are (bytes). */
const PIN_FROM = 16_384;
/** A command has a word for the length of its bytes. */
const LENGTH_MAX = 0xffff_ffff;
/** Up to this length a loop is quicker than a call into the engine (characters). */
const LOOP_UP_TO = 24;
/** The most bytes of UTF-8 for one UTF-16 unit. */
const UTF8_MAX = 3;

/** The language's own getter: an object may have another `byteLength`, which lies. */
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its receiver
const byteLengthGetter = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  'byteLength',
)?.get as (this: Uint8Array) => number;

/** The number of bytes. Throws TypeError where it is no typed array. */
export function byteLengthOf(bytes: Uint8Array): number {
  return byteLengthGetter.call(bytes);
}

export class CommandWriter {
  private readonly bytes: RawBuffer;
  private readonly words: Uint32Array;
  private readonly control: Uint32Array;
  private readonly size: number;
  private closed = false;

  constructor(private readonly lane: Lane) {
    this.bytes = Buffer.from(lane.commands) as RawBuffer;
    this.words = new Uint32Array(lane.commands);
    this.control = new Uint32Array(lane.control);
    this.size = lane.commands.byteLength;
  }

  /** Nobody takes commands any more: from now on they go nowhere. */
  close(): void {
    this.closed = true;
  }

  /** Grows whenever the core has taken what was written. */
  get epoch(): number {
    return this.control[Control.EPOCH];
  }

  /**
   * Writes a command that carries header lines and a body.
   *
   * @param head - Header lines with their CRLFs; ASCII.
   * @returns The place of the command, for {@link addFlag}.
   */
  write(
    kind: number,
    flags: number,
    slot: number,
    generation: number,
    status: number,
    head: string,
    body: string | Uint8Array,
  ): number {
    const headLength = head.length;
    if (typeof body === 'string') {
      const length = body.length;
      if (length * UTF8_MAX > PIN_FROM * 2) {
        return this.write(kind, flags, slot, generation, status, head, Buffer.from(body, 'utf8'));
      }
      const at = this.reserve(HEAD_BYTES + headLength + length * UTF8_MAX);
      const bytes = this.bytes;
      let position = at + HEAD_BYTES;
      if (headLength > 0) position += bytes.latin1Write(head, position, headLength);
      const written = this.writeText(body, length, position);
      this.writeWords(at, kind, flags, slot, generation, status, headLength, written, 0);
      this.control[Control.COMMAND_LENGTH] = (position + written + 3) & ~3;
      return at >> 2;
    }
    const length = byteLengthOf(body);
    if (length > LENGTH_MAX) {
      throw Object.assign(
        new RangeError(`Bytes are sent up to ${String(LENGTH_MAX)} at once: write them in pieces`),
        { code: 'WH_ERR_INVALID_ARGUMENT' },
      );
    }
    if (length >= PIN_FROM && !this.closed) {
      const pinned = this.lane.pin(body);
      const at = this.reserve(HEAD_BYTES + headLength);
      if (headLength > 0) this.bytes.latin1Write(head, at + HEAD_BYTES, headLength);
      flags |= CommandFlag.PINNED;
      this.writeWords(at, kind, flags, slot, generation, status, headLength, length, pinned);
      this.control[Control.COMMAND_LENGTH] = (at + HEAD_BYTES + headLength + 3) & ~3;
      return at >> 2;
    }
    const at = this.reserve(HEAD_BYTES + headLength + length);
    const position = at + HEAD_BYTES;
    if (headLength > 0) this.bytes.latin1Write(head, position, headLength);
    if (length > 0) this.bytes.set(body, position + headLength);
    this.writeWords(at, kind, flags, slot, generation, status, headLength, length, 0);
    this.control[Control.COMMAND_LENGTH] = (position + headLength + length + 3) & ~3;
    return at >> 2;
  }

  /** Writes a command that carries bytes, which are copied however many they are: up to 65,536. */
  copy(kind: number, flags: number, slot: number, generation: number, body: Uint8Array): void {
    const length = body.byteLength;
    const at = this.reserve(HEAD_BYTES + length);
    this.bytes.set(body, at + HEAD_BYTES);
    this.writeWords(at, kind, flags, slot, generation, 0, 0, length, 0);
    this.control[Control.COMMAND_LENGTH] = (at + HEAD_BYTES + length + 3) & ~3;
  }

  /** Has the core take what was written, now. */
  flush(): void {
    if (!this.closed) this.lane.commit();
  }

  /** Writes the head of an answer in pieces; `contentLength` below 0 means that it is not known. */
  start(
    flags: number,
    slot: number,
    generation: number,
    status: number,
    head: string,
    contentLength: number,
  ): void {
    const at = this.reserve(HEAD_BYTES + head.length);
    if (head.length > 0) this.bytes.latin1Write(head, at + HEAD_BYTES, head.length);
    let low = 0;
    let high = 0;
    if (contentLength >= 0) {
      flags |= CommandFlag.HAS_LENGTH;
      low = contentLength >>> 0;
      high = Math.floor(contentLength / 0x1_0000_0000);
    }
    this.writeWords(at, Command.START, flags, slot, generation, status, head.length, low, high);
    this.control[Control.COMMAND_LENGTH] = (at + HEAD_BYTES + head.length + 3) & ~3;
  }

  /** Writes the most bytes of body that a request may have; null = no limit. */
  limitBody(slot: number, generation: number, most: number | null): void {
    const at = this.reserve(HEAD_BYTES);
    const limit = most ?? 0;
    const flags = most === null ? 0 : CommandFlag.HAS_LENGTH;
    const high = Math.floor(limit / 0x1_0000_0000);
    this.writeWords(at, Command.BODY_LIMIT, flags, slot, generation, 0, 0, limit >>> 0, high);
    this.control[Control.COMMAND_LENGTH] = at + HEAD_BYTES;
  }

  /** Writes the order to send a part of a file (bytes) that the lane knows by this number. */
  file(slot: number, generation: number, id: number, offset: number, count: number): void {
    const at = this.reserve(HEAD_BYTES + FILE_BYTES);
    this.writeWords(at, Command.FILE, 0, slot, generation, 0, 0, FILE_BYTES, id);
    const words = this.words;
    const w = (at + HEAD_BYTES) >> 2;
    words[w] = offset >>> 0;
    words[w + 1] = Math.floor(offset / 0x1_0000_0000);
    words[w + 2] = count >>> 0;
    words[w + 3] = Math.floor(count / 0x1_0000_0000);
    this.control[Control.COMMAND_LENGTH] = at + HEAD_BYTES + FILE_BYTES;
  }

  /** Writes a command that is nothing but itself. Returns its place, for {@link addFlag}. */
  bare(kind: number, flags: number, slot: number, generation: number): number {
    const at = this.reserve(HEAD_BYTES);
    this.writeWords(at, kind, flags, slot, generation, 0, 0, 0, 0);
    this.control[Control.COMMAND_LENGTH] = at + HEAD_BYTES;
    return at >> 2;
  }

  /** Writes a command with two numbers (uint32 each). */
  pair(kind: number, slot: number, generation: number, a: number, b: number): void {
    const at = this.reserve(HEAD_BYTES);
    this.writeWords(at, kind, 0, slot, generation, 0, 0, a, b);
    this.control[Control.COMMAND_LENGTH] = at + HEAD_BYTES;
  }

  /** Adds a flag to a command that the core has not taken yet: the epoch is the same as then. */
  addFlag(place: number, flag: number): void {
    this.words[place] = this.words[place] | (flag << 8);
  }

  private writeWords(
    at: number,
    kind: number,
    flags: number,
    slot: number,
    generation: number,
    status: number,
    headLength: number,
    w4: number,
    w5: number,
  ): void {
    const words = this.words;
    const w = at >> 2;
    words[w] = kind | (flags << 8);
    words[w + 1] = slot;
    words[w + 2] = generation;
    words[w + 3] = (status << 20) | headLength;
    words[w + 4] = w4;
    words[w + 5] = w5;
  }

  /** Writes text as UTF-8; returns the number of bytes. */
  private writeText(text: string, length: number, position: number): number {
    const bytes = this.bytes;
    if (length <= LOOP_UP_TO) {
      let i = 0;
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        bytes[position + i] = code;
      }
      if (i === length) return length;
    }
    return bytes.utf8Write(text, position, length * UTF8_MAX);
  }

  /** Where the next command goes, with room for `size` bytes. */
  private reserve(size: number): number {
    const at = this.control[Control.COMMAND_LENGTH];
    if (at + size + 4 <= this.size) return at;
    if (this.closed) this.control[Control.COMMAND_LENGTH] = 0;
    else this.lane.commit();
    if (size + 4 > this.size) throw new RangeError('the header lines of the answer are too long');
    return this.control[Control.COMMAND_LENGTH];
  }
}
