/** The frames of HTTP/2 (RFC 9113 section 4.1 and 6), made and taken apart. Nothing here checks anything. */

export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
  /** RFC 9218 section 7.1. */
  PRIORITY_UPDATE: 0x10,
} as const;

export const Flag = {
  NONE: 0x0,
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

export const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
  /** RFC 8441. */
  ENABLE_CONNECT_PROTOCOL: 0x8,
  /** RFC 9218. */
  NO_RFC7540_PRIORITIES: 0x9,
} as const;

/** The error codes by number (RFC 9113 section 7). */
export const ERROR_CODES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** The connection preface of a client (RFC 9113 section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const HEADER_LENGTH = 9;
export const DEFAULT_WINDOW = 65_535;
export const DEFAULT_MAX_FRAME = 16_384;
export const MAX_WINDOW = 0x7fff_ffff;

/** What can be wrong with a frame on purpose. */
export interface FrameFaults {
  /** The length that the header tells, where it is not the payload's. */
  readonly length?: number;
  /** Whether the reserved bit is set. */
  readonly reserved?: boolean;
}

/** A frame of any type, valid or not. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: string | Uint8Array = '',
  faults: FrameFaults = {},
): Buffer {
  const content = Buffer.from(payload as Uint8Array);
  const length = faults.length ?? content.length;
  const bytes = Buffer.alloc(HEADER_LENGTH + content.length);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE((streamId | (faults.reserved === true ? 0x8000_0000 : 0)) >>> 0, 5);
  bytes.set(content, HEADER_LENGTH);
  return bytes;
}

/** What frames with a content may have besides. */
export interface ContentOptions {
  readonly endStream?: boolean;
  /** How many bytes of padding; 0 sends the field with nothing behind the content. */
  readonly padding?: number;
  /** What the pad length field says, where that is not the truth. */
  readonly padLength?: number;
  /** Flags besides those that the other options mean. */
  readonly flags?: number;
}

/** What HEADERS may have besides. */
export interface HeadersOptions extends ContentOptions {
  /** Default true. */
  readonly endHeaders?: boolean;
  readonly priority?: Priority;
}

/** RFC 9113 section 6.3. */
export interface Priority {
  readonly dependency: number;
  readonly exclusive?: boolean;
  /** 0 to 255, as on the wire. */
  readonly weight?: number;
}

export function data(streamId: number, content: string | Uint8Array, options: ContentOptions = {}) {
  return frame(FrameType.DATA, contentFlags(options), streamId, padded(content, options));
}

export function headers(streamId: number, block: Uint8Array, options: HeadersOptions = {}): Buffer {
  const flags =
    contentFlags(options) |
    (options.endHeaders === false ? 0 : Flag.END_HEADERS) |
    (options.priority === undefined ? 0 : Flag.PRIORITY);
  const content =
    options.priority === undefined
      ? block
      : Buffer.concat([priorityFields(options.priority), block]);
  return frame(FrameType.HEADERS, flags, streamId, padded(content, options));
}

export function continuation(streamId: number, block: Uint8Array, endHeaders = true): Buffer {
  return frame(FrameType.CONTINUATION, endHeaders ? Flag.END_HEADERS : 0, streamId, block);
}

export function priority(streamId: number, fields: Priority): Buffer {
  return frame(FrameType.PRIORITY, 0, streamId, priorityFields(fields));
}

export function rstStream(streamId: number, code: ErrorCode | number): Buffer {
  return frame(FrameType.RST_STREAM, 0, streamId, uint32(codeNumber(code)));
}

export type SettingEntry = readonly [id: number, value: number];

export function settings(...entries: readonly SettingEntry[]): Buffer {
  return frame(FrameType.SETTINGS, 0, 0, settingsPayload(entries));
}

export function settingsPayload(entries: readonly SettingEntry[]): Buffer {
  const payload = Buffer.alloc(6 * entries.length);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value >>> 0, 6 * i + 2);
  });
  return payload;
}

export function settingsAck(): Buffer {
  return frame(FrameType.SETTINGS, Flag.ACK, 0);
}

export function pushPromise(streamId: number, promised: number, block: Uint8Array): Buffer {
  const payload = Buffer.concat([uint32(promised), block]);
  return frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, streamId, payload);
}

export function ping(payload: string | Uint8Array = 'windhove', ack = false): Buffer {
  return frame(FrameType.PING, ack ? Flag.ACK : 0, 0, payload);
}

export function goaway(lastStreamId: number, code: ErrorCode | number, debug = ''): Buffer {
  const payload = Buffer.concat([
    uint32(lastStreamId),
    uint32(codeNumber(code)),
    Buffer.from(debug),
  ]);
  return frame(FrameType.GOAWAY, 0, 0, payload);
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

/** PRIORITY_UPDATE for a stream (RFC 9218 section 7.1), sent on `on`, which ought to be 0. */
export function priorityUpdate(streamId: number, value: string, on = 0): Buffer {
  const payload = Buffer.concat([uint32(streamId), Buffer.from(value, 'latin1')]);
  return frame(FrameType.PRIORITY_UPDATE, 0, on, payload);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** An error code by its number; hexadecimal where RFC 9113 knows none. */
export function codeName(code: number): ErrorCode | `0x${string}` {
  return ERROR_CODES.at(code) ?? `0x${code.toString(16)}`;
}

/** A frame type's name, for messages. */
export function typeName(type: number): string {
  const found = Object.entries(FrameType).find(([, number]) => number === type);
  return found?.[0] ?? `type 0x${type.toString(16)}`;
}

function codeNumber(code: ErrorCode | number): number {
  return typeof code === 'number' ? code : ERROR_CODES.indexOf(code);
}

function contentFlags(options: ContentOptions): number {
  const isPadded = options.padding !== undefined || options.padLength !== undefined;
  return (
    (options.flags ?? 0) |
    (options.endStream === true ? Flag.END_STREAM : 0) |
    (isPadded ? Flag.PADDED : 0)
  );
}

function padded(content: string | Uint8Array, { padding, padLength }: ContentOptions): Buffer {
  const bytes = Buffer.from(content as Uint8Array);
  if (padding === undefined && padLength === undefined) return bytes;
  const length = padding ?? 0;
  return Buffer.concat([Buffer.of(padLength ?? length), bytes, Buffer.alloc(length)]);
}

function priorityFields({ dependency, exclusive = false, weight = 15 }: Priority): Buffer {
  return Buffer.concat([uint32(dependency | (exclusive ? 0x8000_0000 : 0)), Buffer.of(weight)]);
}
