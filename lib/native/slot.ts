/**
 * A slot: the place in shared memory where the core writes the head of a request, seen from JavaScript.
 * There is one object for each slot, used again and again, and never given to an application: who reads
 * must know that the request is still the one that was meant.
 */
import type { LaneLimits, LaneTlsFacts } from './addon.js';
import type { CommandWriter } from './command-writer.js';
import { methodNames } from './generated/methods.js';
import type { KnownHeads } from './head-cache.js';
import { Field, PathCache, RequestFlag, Slot as Layout } from './generated/shared-layout.js';
import type { Slab } from './slab.js';

/** Paths that the core has seen before, by place: their numbers, and what was made of them. */
export class KnownPaths {
  readonly ids = new Uint32Array(PathCache.PLACES);
  readonly strings: string[] = new Array<string>(PathCache.PLACES).fill('');
}

/** What the slots of one server share. */
export interface SlotHost {
  readonly commands: CommandWriter;
  /** Received bytes; overwritten once a batch is over. */
  readonly arena: Uint8Array;
  readonly heads: KnownHeads;
  readonly paths: KnownPaths;
  /** The server's limit for bodies (bytes); null = none. */
  readonly maxRequestBodySize: number | null;
  /** The server ends its connections as soon as they are idle. */
  readonly stopping: boolean;
  readonly limits: LaneLimits;
  /** [remote address, remote port, local address, local port]; null once the client is gone. */
  addresses(
    slot: Slot,
    generation: number,
    ofSocket: boolean,
  ): [string, number, string, number] | null;
  /** What is known of its connection's TLS; null on cleartext, or once the client is gone. */
  exchangeTls(slot: Slot, generation: number): LaneTlsFacts | null;
  /** The client's certificate and those above it (DER). */
  exchangePeerCertificates(slot: Slot, generation: number): Buffer[];
  /** The binding tls-exporter; null where there is none. */
  exchangeChannelBinding(slot: Slot, generation: number): Buffer | null;
  /** An answer on HTTP/2 had a field that only HTTP/1 has, and went out without it. */
  onFieldDropped(name: string): void;
  /** Duplicates a descriptor for a FILE command, which must follow at once; its number there. */
  addFile(descriptor: number): number;
}

/** What the core reports to the exchange that has the slot. */
export interface RunningExchange {
  /** Some of the body is in the arena. */
  onBody(offset: number, length: number): void;
  /** Some of its trailer section is in the arena; valid once onBodyEnd has come. */
  onTrailers(offset: number, length: number): void;
  onBodyEnd(): void;
  /** The client has gone (status 0), or its body was refused. */
  onAborted(status: number): void;
  /** There is room for writes again. */
  onRoom(): void;
  /** The server stops: what would go on for ever is told. */
  onStopping(): void;
  /** A file is sent, or cannot be: FileResult. */
  onFileDone(result: number): void;
}

/** Slot.VERSION of HTTP/2. */
const HTTP2 = 20;
/** Slot.CONNECT_PROTOCOL: an offset, and a length above it. */
const PROTOCOL_OFFSET = 0xff_ffff;
const PROTOCOL_LENGTH_SHIFT = 24;

export class Slot {
  /** The exchange whose handler has not settled. */
  running: RunningExchange | undefined = undefined;
  /** What the layer above does when the promise of the running exchange settles; made once. */
  fulfilled: (() => void) | undefined = undefined;
  rejected: ((error: unknown) => void) | undefined = undefined;

  constructor(
    readonly host: SlotHost,
    private readonly slab: Slab,
    /** Where the slot starts in its slab (bytes). */
    private readonly base: number,
    /** The core's number of the slot. */
    readonly number: number,
  ) {}

  /** Tells this use of the slot from all others. */
  generation(): number {
    return this.word(Layout.GENERATION);
  }

  /** The bits of RequestFlag. */
  flags(): number {
    return this.half(Layout.FLAGS);
  }

  method(): string {
    const id = this.byte(Layout.METHOD);
    return id !== 0 ? methodNames[id] : this.ascii(Layout.METHOD_OFFSET);
  }

  protocol(): string {
    const version = this.byte(Layout.VERSION);
    return version === 11 ? 'HTTP/1.1' : version === 10 ? 'HTTP/1.0' : 'HTTP/2';
  }

  /** Whether it came on HTTP/2. */
  isHttp2(): boolean {
    return this.byte(Layout.VERSION) === HTTP2;
  }

  /** The protocol that an extended CONNECT asks for; `undefined` of any other request. */
  connectProtocol(): string | undefined {
    if (!this.isHttp2() || this.method() !== 'CONNECT') return undefined;
    const place = this.word(Layout.CONNECT_PROTOCOL);
    if (place === 0) return undefined;
    return this.slab.ascii(this.base + (place & PROTOCOL_OFFSET), place >>> PROTOCOL_LENGTH_SHIFT);
  }

  /** The request target as sent. */
  target(): string {
    return this.ascii(Layout.TARGET_OFFSET);
  }

  /** The decoded path. */
  path(): string {
    const id = this.word(Layout.PATH_ID);
    if (id !== 0) {
      const { ids, strings } = this.host.paths;
      const place = id & (PathCache.PLACES - 1);
      if (ids[place] === id) return strings[place];
      ids[place] = id;
      return (strings[place] = this.ascii(Layout.PATH_OFFSET));
    }
    if (this.byte(Layout.TARGET_FLAGS) === 0) return this.ascii(Layout.PATH_OFFSET);
    return this.slab.utf8(this.base + this.word(Layout.PATH_OFFSET), this.word(Layout.PATH_LENGTH));
  }

  /** The query with its question mark. */
  query(): string {
    return this.ascii(Layout.QUERY_OFFSET);
  }

  /** The declared length of the body (bytes); -1 where it is not known in advance. */
  contentLength(): number {
    if ((this.half(Layout.FLAGS) & RequestFlag.CHUNKED) !== 0) return -1;
    return (
      this.word(Layout.CONTENT_LENGTH_HIGH) * 0x1_0000_0000 + this.word(Layout.CONTENT_LENGTH_LOW)
    );
  }

  /** What became of an UPGRADE command: a value of UpgradeResult. */
  upgradeResult(): number {
    return this.byte(Layout.UPGRADE_RESULT);
  }

  /** The number of the connection. */
  connectionNumber(): number {
    return this.word(Layout.CONNECTION_HIGH) * 0x1_0000_0000 + this.word(Layout.CONNECTION_LOW);
  }

  /** The number of the request on its connection, from 1. */
  requestNumber(): number {
    return this.word(Layout.REQUEST_NUMBER);
  }

  /** Where in the arena the body stands that came with the head, during the batch. */
  bodyOffset(): number {
    return this.word(Layout.BODY_OFFSET);
  }

  bodyLength(): number {
    return this.word(Layout.BODY_LENGTH);
  }

  /** The number of a header section that was seen before; 0 where this one was not. */
  headId(): number {
    return this.word(Layout.HEAD_ID);
  }

  // --- the field lines ---

  fieldCount(): number {
    return this.word(Layout.HEADER_COUNT);
  }

  fieldName(i: number): string {
    const at = this.fieldAt(i);
    const offset = this.slab.words[at >> 2];
    return this.slab.ascii(this.base + offset, this.slab.halves[(at + Field.NAME_LENGTH) >> 1]);
  }

  fieldValue(i: number): string {
    const at = (this.fieldAt(i) + Field.VALUE_OFFSET) >> 2;
    const offset = this.base + this.slab.words[at];
    const length = this.slab.words[at + 1];
    return (this.half(Layout.FLAGS) & RequestFlag.HIGH_BYTES) === 0
      ? this.slab.ascii(offset, length)
      : this.slab.utf8(offset, length);
  }

  /** The number of the next field line with that known name, from line `from`; -1 where there is none. */
  findKnown(id: number, from: number): number {
    const halves = this.slab.halves;
    const count = this.word(Layout.HEADER_COUNT);
    let at = (this.fieldAt(from) + Field.ID) >> 1;
    for (let i = from; i < count; i++, at -= Field.SIZE >> 1) {
      if (halves[at] === id) return i;
    }
    return -1;
  }

  /** The same for a name that is not known to the core, in lower case. */
  findUnknown(lowerName: string, from: number): number {
    const count = this.fieldCount();
    const { words, halves } = this.slab;
    let at = this.fieldAt(from);
    for (let i = from; i < count; i++, at -= Field.SIZE) {
      if (halves[(at + Field.ID) >> 1] !== 0) continue;
      if (halves[(at + Field.NAME_LENGTH) >> 1] !== lowerName.length) continue;
      const name = this.slab.ascii(this.base + words[at >> 2], lowerName.length);
      if (name.toLowerCase() === lowerName) return i;
    }
    return -1;
  }

  /** The place of field line `i` in its slab (bytes). */
  private fieldAt(i: number): number {
    return this.base + this.word(Layout.SIZE) - Field.SIZE * (i + 1);
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
}
