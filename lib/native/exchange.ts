/**
 * One request and its answer, as the core has them: reads the request's slot, writes commands for the
 * answer. Made anew for each request, so that what somebody kept of an old one can never reach a new
 * one; every use after the end throws.
 */
import { Buffer } from 'node:buffer';
import type { CommandWriter } from './command-writer.js';
import { Command, CommandFlag, Field, RequestFlag, Slot } from './generated/shared-layout.js';
import { methodNames } from './generated/methods.js';
import { copyBytes, NativeRequestBody } from './request-body.js';
import type { Slab } from './slab.js';

/** The arithmetic of the table of field lines, in words of four and of two bytes. */
const FIELD_WORDS = Field.SIZE / 4;
const FIELD_HALVES = Field.SIZE / 2;

/** What an exchange needs of its server. */
export interface ExchangeHost {
  readonly commands: CommandWriter;
  readonly arena: Buffer;
  /** The error of a use after the end. */
  overError(): Error;
  /** The error of a body that will not be complete: status 0 = the client has gone. */
  bodyError(status: number): Error;
}

export class NativeExchange {
  /** The application is done with it: nothing of it may be touched. */
  over = false;
  /** The end of the answer has been ordered. */
  endOrdered = false;
  /** The client has gone, or its request turned out to be bad: nothing that is answered arrives. */
  aborted = false;
  /** Where the command stands that ended the answer, and when it was written. */
  private lastPlace = -1;
  private lastEpoch = 0;
  private requestBody: NativeRequestBody | undefined = undefined;
  private bodyTaken = false;
  private roomWaiters: (() => void)[] | undefined = undefined;

  constructor(
    protected readonly server: ExchangeHost,
    private readonly slab: Slab,
    /** Where the slot starts in its slab (bytes). */
    private readonly base: number,
    /** The core's number of the slot. */
    readonly slot: number,
    /** Tells this use of the slot from all others. */
    readonly generation: number,
  ) {}

  // --- the request's head ---

  /** Throws where the request is over. Every read of the slot comes through here. */
  protected ensureLive(): void {
    if (this.over) throw this.server.overError();
  }

  private word(offset: number): number {
    return this.slab.words[(this.base + offset) >> 2];
  }

  private half(offset: number): number {
    return this.slab.halves[(this.base + offset) >> 1];
  }

  private byte(offset: number): number {
    return this.slab.bytes[this.base + offset];
  }

  private ascii(offsetAt: number): string {
    return this.slab.ascii(this.base + this.word(offsetAt), this.word(offsetAt + 4));
  }

  /** The bits of RequestFlag. */
  readFlags(): number {
    this.ensureLive();
    return this.half(Slot.FLAGS);
  }

  readMethod(): string {
    this.ensureLive();
    const id = this.byte(Slot.METHOD);
    return id !== 0 ? methodNames[id] : this.ascii(Slot.METHOD_OFFSET);
  }

  readProtocol(): string {
    this.ensureLive();
    const version = this.byte(Slot.VERSION);
    return version === 11 ? 'HTTP/1.1' : version === 10 ? 'HTTP/1.0' : 'HTTP/2';
  }

  readTarget(): string {
    this.ensureLive();
    return this.ascii(Slot.TARGET_OFFSET);
  }

  readPath(): string {
    this.ensureLive();
    if (this.byte(Slot.TARGET_FLAGS) === 0) return this.ascii(Slot.PATH_OFFSET);
    return this.slab.utf8(this.base + this.word(Slot.PATH_OFFSET), this.word(Slot.PATH_LENGTH));
  }

  readQuery(): string {
    this.ensureLive();
    return this.ascii(Slot.QUERY_OFFSET);
  }

  /** The declared length of the body (bytes); -1 where it is not known in advance. */
  readContentLength(): number {
    this.ensureLive();
    if ((this.half(Slot.FLAGS) & RequestFlag.CHUNKED) !== 0) return -1;
    return this.word(Slot.CONTENT_LENGTH_HIGH) * 0x1_0000_0000 + this.word(Slot.CONTENT_LENGTH_LOW);
  }

  /** The number of the connection, and of the request on it. */
  readNumbers(): readonly [connection: number, request: number] {
    this.ensureLive();
    const connection =
      this.word(Slot.CONNECTION_HIGH) * 0x1_0000_0000 + this.word(Slot.CONNECTION_LOW);
    return [connection, this.word(Slot.REQUEST_NUMBER)];
  }

  // --- the field lines ---

  fieldCount(): number {
    this.ensureLive();
    return this.word(Slot.HEADER_COUNT);
  }

  /** The place of field line `i` in its slab (bytes). */
  private fieldAt(i: number): number {
    return this.base + this.word(Slot.SIZE) - Field.SIZE * (i + 1);
  }

  fieldName(i: number): string {
    this.ensureLive();
    const at = this.fieldAt(i);
    const offset = this.slab.words[at >> 2];
    const length = this.slab.halves[(at + Field.NAME_LENGTH) >> 1];
    return this.slab.ascii(this.base + offset, length);
  }

  fieldValue(i: number): string {
    this.ensureLive();
    const at = (this.fieldAt(i) + Field.VALUE_OFFSET) >> 2;
    const offset = this.base + this.slab.words[at];
    const length = this.slab.words[at + 1];
    return (this.half(Slot.FLAGS) & RequestFlag.HIGH_BYTES) === 0
      ? this.slab.ascii(offset, length)
      : this.slab.utf8(offset, length);
  }

  /** The number of the next field line with that known name, from line `from`; -1 where there is none. */
  findKnown(id: number, from: number): number {
    this.ensureLive();
    const halves = this.slab.halves;
    const count = this.word(Slot.HEADER_COUNT);
    let at = (this.fieldAt(from) + Field.ID) >> 1;
    for (let i = from; i < count; i++, at -= FIELD_HALVES) {
      if (halves[at] === id) return i;
    }
    return -1;
  }

  /** The same for a name that is not known to the core, in lower case. */
  findUnknown(lowerName: string, from: number): number {
    const count = this.fieldCount();
    const { words, halves } = this.slab;
    let at = this.fieldAt(from);
    for (let i = from; i < count; i++, at -= FIELD_WORDS * 4) {
      if (halves[(at + Field.ID) >> 1] !== 0) continue;
      if (halves[(at + Field.NAME_LENGTH) >> 1] !== lowerName.length) continue;
      const offset = this.base + words[at >> 2];
      if (this.slab.ascii(offset, lowerName.length).toLowerCase() === lowerName) return i;
    }
    return -1;
  }

  // --- the request's body ---

  hasBody(): boolean {
    return (this.readFlags() & RequestFlag.HAS_BODY) !== 0;
  }

  /** Copies what came with the head out of the arena, before the batch is over. */
  saveBody(): void {
    if (this.bodyTaken || (this.half(Slot.FLAGS) & RequestFlag.BODY_COMPLETE) === 0) return;
    this.bodyTaken = true;
    const body = this.body();
    body.push(this.server.arena, this.word(Slot.BODY_OFFSET), this.word(Slot.BODY_LENGTH));
    body.end();
  }

  /** The body's pieces. */
  body(): NativeRequestBody {
    if (this.requestBody !== undefined) return this.requestBody;
    const body = new NativeRequestBody(this, this.readContentLength());
    this.requestBody = body;
    if (!this.hasBody()) body.end();
    else this.saveBody();
    return body;
  }

  /** The whole body. In the usual case, a small one, it is here already. */
  bodyBytes(): Promise<Uint8Array> {
    const flags = this.readFlags();
    if ((flags & RequestFlag.BODY_COMPLETE) !== 0 && !this.bodyTaken) {
      this.bodyTaken = true;
      const offset = this.word(Slot.BODY_OFFSET);
      return Promise.resolve(copyBytes(this.server.arena, offset, this.word(Slot.BODY_LENGTH)));
    }
    return this.body().all();
  }

  /** @internal Asks the core for more of the body, or for no more. */
  readBody(on: boolean): void {
    if (this.over || this.aborted) return;
    this.server.commands.bare(on ? Command.READ : Command.PAUSE, 0, this.slot, this.generation);
  }

  // --- the answer ---

  /** Orders a whole answer. */
  orderAnswer(flags: number, status: number, head: string, body: string | Uint8Array): void {
    const commands = this.server.commands;
    this.endOrdered = true;
    this.lastPlace = commands.write(
      Command.RESPOND,
      flags,
      this.slot,
      this.generation,
      status,
      head,
      body,
    );
    this.lastEpoch = commands.epoch;
  }

  /** Orders the head of an answer; `contentLength` below 0 where it is not known. */
  orderStart(flags: number, status: number, head: string, contentLength: number): void {
    this.server.commands.start(flags, this.slot, this.generation, status, head, contentLength);
  }

  /** Orders a piece of the body. The core reports ROOM when there is room, if `notify`. */
  orderWrite(data: string | Uint8Array, notify: boolean): void {
    const flags = notify ? CommandFlag.NOTIFY : 0;
    this.server.commands.write(Command.WRITE, flags, this.slot, this.generation, 0, '', data);
  }

  /** Orders the end of the body. */
  orderEnd(): void {
    const commands = this.server.commands;
    this.endOrdered = true;
    this.lastPlace = commands.bare(Command.END, 0, this.slot, this.generation);
    this.lastEpoch = commands.epoch;
  }

  /** Orders the end of the connection, now. */
  orderAbort(): void {
    this.server.commands.bare(Command.ABORT, 0, this.slot, this.generation);
  }

  /** Settles when the core reports room. */
  waitForRoom(): Promise<void> {
    return new Promise((resolve) => {
      (this.roomWaiters ??= []).push(resolve);
    });
  }

  /** The application is done: the slot is the core's again. */
  release(): void {
    if (this.over) return;
    this.over = true;
    const commands = this.server.commands;
    if (this.lastPlace >= 0 && this.lastEpoch === commands.epoch) {
      commands.addFlag(this.lastPlace, CommandFlag.RELEASE);
    } else {
      commands.bare(Command.RELEASE, 0, this.slot, this.generation);
    }
  }

  // --- what the core reports ---

  /** @internal Some body is in the arena. */
  onBody(offset: number, length: number): void {
    this.body().push(this.server.arena, offset, length);
  }

  /** @internal */
  onBodyEnd(): void {
    this.body().end();
  }

  /** @internal There is room for writes. */
  onRoom(): void {
    const waiters = this.roomWaiters;
    this.roomWaiters = undefined;
    if (waiters !== undefined) for (const resolve of waiters) resolve();
  }

  /** @internal The client has gone (status 0), or its body was refused. Overridden above. */
  onAborted(status: number): void {
    this.aborted = true;
    this.requestBody?.fail(this.server.bodyError(status));
    this.onRoom();
  }
}

/** The number of bytes that text takes as UTF-8. */
export function byteLength(data: string | Uint8Array): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
}
