/** What a server sent, as tests look at it. */
import type { ErrorCode } from './frames.js';
import { DEFAULT_MAX_FRAME, Flag, FrameType, HEADER_LENGTH, codeName, typeName } from './frames.js';
import type { DecodedField } from './hpack.js';
import { HpackDecoder } from './hpack.js';

export type Code = ErrorCode | `0x${string}`;

interface OnStream {
  readonly streamId: number;
}

export interface DataFrame extends OnStream {
  readonly type: 'DATA';
  readonly data: Buffer;
  readonly endStream: boolean;
  /** What it takes of the windows: the padding counts. */
  readonly flowLength: number;
}

/** HEADERS with the CONTINUATION frames that belong to it. */
export interface HeadersFrame extends OnStream {
  readonly type: 'HEADERS';
  readonly fields: readonly DecodedField[];
  readonly endStream: boolean;
  /** The frames that the block came in. */
  readonly frames: number;
}

export interface RstStreamFrame extends OnStream {
  readonly type: 'RST_STREAM';
  readonly code: Code;
}

export interface SettingsFrame {
  readonly type: 'SETTINGS';
  readonly ack: boolean;
  readonly values: ReadonlyMap<number, number>;
}

export interface PingFrame {
  readonly type: 'PING';
  readonly ack: boolean;
  readonly payload: Buffer;
}

export interface GoawayFrame {
  readonly type: 'GOAWAY';
  readonly lastStreamId: number;
  readonly code: Code;
  readonly debug: string;
}

export interface WindowUpdateFrame extends OnStream {
  readonly type: 'WINDOW_UPDATE';
  readonly increment: number;
}

export interface OtherFrame extends OnStream {
  readonly type: 'OTHER';
  readonly number: number;
  readonly payload: Buffer;
}

/** The connection is over: by an end of file, or by a reset. */
export interface End {
  readonly type: 'END';
  readonly how: 'end' | 'reset';
}

export type Received =
  | DataFrame
  | HeadersFrame
  | RstStreamFrame
  | SettingsFrame
  | PingFrame
  | GoawayFrame
  | WindowUpdateFrame
  | OtherFrame
  | End;

/**
 * Takes the bytes of a server apart. What a server may not send (a frame too large, a wrong length, a block
 * that does not decode or is interrupted, a push) throws.
 */
export class FrameReader {
  readonly decoder: HpackDecoder;
  maxFrame = DEFAULT_MAX_FRAME;
  private buffer: Buffer = Buffer.alloc(0);
  /** The block that is open. */
  private open: { streamId: number; endStream: boolean; parts: Buffer[] } | undefined = undefined;
  private first = true;

  constructor(tableSize?: number) {
    this.decoder = new HpackDecoder(tableSize);
  }

  /** Bytes of a frame that has not come to its end. */
  get rest(): Buffer {
    return this.buffer;
  }

  /** The frames that some more bytes complete. */
  *read(chunk: Buffer): Generator<Received> {
    this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk]);
    while (this.buffer.length >= HEADER_LENGTH) {
      const length = this.buffer.readUIntBE(0, 3);
      const type = this.buffer[3];
      if (this.first && type !== FrameType.SETTINGS) {
        const text = JSON.stringify(this.buffer.toString('latin1', 0, 60));
        throw new Error(`the server did not begin with SETTINGS: ${text}`);
      }
      if (length > this.maxFrame) {
        throw new Error(`${typeName(type)} of ${String(length)} bytes is too large`);
      }
      const end = HEADER_LENGTH + length;
      if (this.buffer.length < end) return;
      const flags = this.buffer[4];
      const streamId = this.buffer.readUInt32BE(5);
      const payload = this.buffer.subarray(HEADER_LENGTH, end);
      this.buffer = this.buffer.subarray(end);
      if (this.first && (flags & Flag.ACK) !== 0) {
        throw new Error("the server's first SETTINGS is an acknowledgement");
      }
      this.first = false;
      const received = this.take(type, flags, streamId, payload);
      if (received !== undefined) yield received;
    }
  }

  private take(
    type: number,
    flags: number,
    streamId: number,
    payload: Buffer,
  ): Received | undefined {
    if (streamId > 0x7fff_ffff) throw new Error('the reserved bit is set');
    if (this.open !== undefined && type !== FrameType.CONTINUATION) {
      throw new Error(`${typeName(type)} within a field block`);
    }
    const fits = (right: boolean): void => {
      if (!right) {
        const where = `of ${String(payload.length)} bytes on stream ${String(streamId)}`;
        throw new Error(`a malformed ${typeName(type)} ${where}`);
      }
    };
    const ack = (flags & Flag.ACK) !== 0;
    switch (type) {
      case FrameType.DATA: {
        fits(streamId !== 0);
        const data = unpadded(payload, flags);
        const endStream = (flags & Flag.END_STREAM) !== 0;
        return { type: 'DATA', streamId, data, endStream, flowLength: payload.length };
      }
      case FrameType.HEADERS: {
        fits(streamId !== 0);
        const endStream = (flags & Flag.END_STREAM) !== 0;
        this.open = { streamId, endStream, parts: [headersBlock(payload, flags)] };
        return this.block(flags);
      }
      case FrameType.CONTINUATION:
        fits(this.open?.streamId === streamId);
        this.open?.parts.push(payload);
        return this.block(flags);
      case FrameType.RST_STREAM:
        fits(streamId !== 0 && payload.length === 4);
        return { type: 'RST_STREAM', streamId, code: codeName(payload.readUInt32BE(0)) };
      case FrameType.SETTINGS: {
        fits(streamId === 0 && payload.length % 6 === 0 && !(ack && payload.length > 0));
        const values = new Map<number, number>();
        for (let at = 0; at < payload.length; at += 6) {
          values.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
        }
        return { type: 'SETTINGS', ack, values };
      }
      case FrameType.PING:
        fits(streamId === 0 && payload.length === 8);
        return { type: 'PING', ack, payload };
      case FrameType.GOAWAY:
        fits(streamId === 0 && payload.length >= 8);
        return {
          type: 'GOAWAY',
          lastStreamId: payload.readUInt32BE(0),
          code: codeName(payload.readUInt32BE(4)),
          debug: payload.toString('latin1', 8),
        };
      case FrameType.WINDOW_UPDATE: {
        fits(payload.length === 4 && payload.readUInt32BE(0) !== 0);
        return { type: 'WINDOW_UPDATE', streamId, increment: payload.readUInt32BE(0) };
      }
      case FrameType.PUSH_PROMISE:
        throw new Error('a push, though SETTINGS_ENABLE_PUSH is 0');
      default:
        return { type: 'OTHER', number: type, streamId, payload };
    }
  }

  private block(flags: number): HeadersFrame | undefined {
    const { open } = this;
    if (open === undefined || (flags & Flag.END_HEADERS) === 0) return undefined;
    this.open = undefined;
    const { streamId, endStream, parts } = open;
    const fields = this.decoder.decode(Buffer.concat(parts));
    return { type: 'HEADERS', streamId, endStream, fields, frames: parts.length };
  }
}

/** The block of HEADERS, which may have fields of priority before it. */
function headersBlock(payload: Buffer, flags: number): Buffer {
  return unpadded(payload, flags).subarray((flags & Flag.PRIORITY) === 0 ? 0 : 5);
}

function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & Flag.PADDED) === 0) return payload;
  const length = payload.length - 1 - (payload.at(0) ?? 0);
  if (length < 0) throw new Error('there is more padding than frame');
  return payload.subarray(1, 1 + length);
}

/** A frame in a few words. */
export function describe(received: Received): string {
  const on = 'streamId' in received ? `[${String(received.streamId)}]` : '';
  const flags =
    'endStream' in received && received.endStream
      ? ' END_STREAM'
      : 'ack' in received && received.ack
        ? ' ACK'
        : '';
  const start = `${received.type}${on}${flags}`;
  switch (received.type) {
    case 'DATA':
      return `${start} ${String(received.data.length)} bytes`;
    case 'HEADERS': {
      const status = received.fields.find(({ name }) => name === ':status');
      return `${start} ${status?.value ?? `${String(received.fields.length)} fields`}`;
    }
    case 'RST_STREAM':
      return `${start} ${received.code}`;
    case 'GOAWAY':
      return `${start} ${received.code} last ${String(received.lastStreamId)} ${JSON.stringify(received.debug)}`;
    case 'SETTINGS':
      return `${start} ${[...received.values].map(([id, value]) => `${String(id)}=${String(value)}`).join(' ')}`;
    case 'WINDOW_UPDATE':
      return `${start} +${String(received.increment)}`;
    case 'END':
      return `${start} (${received.how})`;
    case 'OTHER':
      return `${start} type ${String(received.number)}`;
    default:
      return start;
  }
}
