/**
 * The body of one request on its way from the core to the application: pieces that came wait here, and
 * while too much of them waits the core is told to stop reading.
 */
import { Buffer, constants } from 'node:buffer';
import { markAsUntransferable } from 'node:worker_threads';
import { Command, RequestFlag } from './generated/shared-layout.js';
import type { Slot } from './slot.js';

/** Below this part of maxRequestBufferSize the core goes on reading. */
const LOW_PART = 0.25;

/** Small pieces are cut from a larger block (bytes): memory in blocks costs less than one by one. */
const BLOCK = 32_768;
const CUT_UP_TO = 4096;
let block = new Uint8Array(0);
let blockUsed = 0;

/** Copies bytes out of the arena, which is overwritten once the batch is over. */
export function copyBytes(arena: Uint8Array, offset: number, length: number): Uint8Array {
  const source = new Uint8Array(arena.buffer, arena.byteOffset + offset, length);
  if (length > CUT_UP_TO) {
    const copy = Buffer.allocUnsafeSlow(length);
    copy.set(source);
    return copy;
  }
  if (blockUsed + length > block.byteLength) {
    block = Buffer.allocUnsafeSlow(BLOCK);
    markAsUntransferable(block.buffer); // it would take other bodies along
    blockUsed = 0;
  }
  const copy = Buffer.from(block.buffer, blockUsed, length);
  copy.set(source);
  blockUsed += (length + 7) & ~7;
  return copy;
}

/** For promises that a client can break: who asked for a body need not wait for it at once. */
function ignore(): void {
  // Whoever waits is told all the same.
}

interface Waiter {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: Error): void;
}

export class NativeRequestBody {
  private pieces: Uint8Array[] = [];
  private waiting = 0;
  private complete = false;
  private error: Error | undefined;
  private waiters: Waiter[] = [];
  private reading = false;
  /** The reader has given the rest up: it is not read, and what comes all the same is thrown away. */
  private cancelled = false;
  /** Bytes of it that have come. */
  private received = 0;
  private trailerPieces: Uint8Array[] | undefined;
  /** Where all of a body of known length is being collected. */
  private whole: Buffer | undefined;
  private filled = 0;
  private wholeDone: { resolve(bytes: Uint8Array): void; reject(error: Error): void } | undefined;

  /** Its declared length (bytes); -1 where it is not known. */
  private readonly length: number;
  /** Above this many bytes waiting the core stops reading from the client. */
  private readonly high: number;

  constructor(
    private readonly slot: Slot,
    private readonly generation: number,
  ) {
    this.length = slot.contentLength();
    this.high = slot.host.limits.maxRequestBufferSize;
    if ((slot.flags() & RequestFlag.HAS_BODY) === 0) this.complete = true;
  }

  /** Whether more of it is to come. */
  get isOpen(): boolean {
    return !this.complete && this.error === undefined;
  }

  /** Whether all of it has come and been read. */
  get isRead(): boolean {
    return this.complete && this.pieces.length === 0 && !this.cancelled && this.error === undefined;
  }

  /** The spans of its trailer section; worth something once {@link isRead}. */
  get trailers(): readonly Uint8Array[] {
    return this.trailerPieces ?? [];
  }

  /** At least so many bytes it has (what it declares, or what has come). */
  get knownLength(): number {
    return Math.max(this.length, this.received);
  }

  /** A piece has come, in the arena. */
  push(offset: number, length: number): void {
    const arena = this.slot.host.arena;
    if (this.complete || this.error !== undefined || this.cancelled) return;
    this.received += length;
    if (this.whole !== undefined) {
      this.whole.set(arena.subarray(offset, offset + length), this.filled);
      this.filled += length;
      return;
    }
    const piece = copyBytes(arena, offset, length);
    const waiter = this.waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: piece });
      return;
    }
    this.pieces.push(piece);
    this.waiting += length;
    if (this.reading && this.waiting > this.high) this.setReading(false);
  }

  /** A span of its trailer section has come, in the arena. */
  pushTrailers(offset: number, length: number): void {
    if (this.complete || this.error !== undefined || this.cancelled) return;
    (this.trailerPieces ??= []).push(copyBytes(this.slot.host.arena, offset, length));
  }

  /** The body is complete. */
  end(): void {
    this.complete = true;
    if (this.wholeDone !== undefined && this.whole !== undefined) {
      this.wholeDone.resolve(this.whole.subarray(0, this.filled));
    }
    for (const waiter of this.takeWaiters()) waiter.resolve({ done: true, value: undefined });
  }

  /** It will never be complete. */
  fail(error: Error): void {
    if (this.complete || this.error !== undefined) return;
    this.error = error;
    this.wholeDone?.reject(error);
    for (const waiter of this.takeWaiters()) waiter.reject(error);
  }

  /** It is refused, whatever of it has come. */
  refuse(error: Error): void {
    this.complete = false;
    this.pieces = [];
    this.fail(error);
  }

  /** The reader wants no more of it. */
  cancel(): void {
    if (this.isRead) return;
    this.setReading(false);
    this.cancelled = true;
    this.pieces = [];
    this.waiting = 0;
    for (const waiter of this.takeWaiters()) waiter.resolve({ done: true, value: undefined });
  }

  /** The next piece. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const piece = this.pieces.shift();
    if (piece !== undefined) {
      this.waiting -= piece.byteLength;
      if (!this.complete && this.waiting <= this.high * LOW_PART) this.setReading(true);
      return Promise.resolve({ done: false, value: piece });
    }
    if (this.error !== undefined) return Promise.reject(this.error);
    if (this.complete || this.cancelled) return Promise.resolve({ done: true, value: undefined });
    this.setReading(true);
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject });
    });
  }

  /** All of it at once: one copy where the length is known, and not more than `most` (null: any). */
  all(most: number | null): Promise<Uint8Array> {
    const isAhead = this.length >= 0 && !this.complete && this.error === undefined;
    // What exceeds the limit is refused by the core, which nobody need make room for.
    const isExpected = isAhead && this.length <= Math.min(most ?? Infinity, constants.MAX_LENGTH);
    const whole = isExpected ? this.collect() : this.join();
    whole.catch(ignore);
    return whole;
  }

  private async join(): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for (let step = await this.next(); step.done !== true; step = await this.next()) {
      pieces.push(step.value);
    }
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  }

  private collect(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.whole = Buffer.allocUnsafeSlow(this.length);
      for (const piece of this.pieces) {
        this.whole.set(piece, this.filled);
        this.filled += piece.byteLength;
      }
      this.pieces = [];
      this.waiting = 0;
      this.wholeDone = { resolve, reject };
      this.setReading(true);
    });
  }

  private takeWaiters(): Waiter[] {
    const { waiters } = this;
    this.waiters = [];
    return waiters;
  }

  private setReading(on: boolean): void {
    if (this.reading === on || this.complete || this.error !== undefined) return;
    this.reading = on;
    const kind = on ? Command.READ : Command.PAUSE;
    this.slot.host.commands.bare(kind, 0, this.slot.number, this.generation);
  }
}
