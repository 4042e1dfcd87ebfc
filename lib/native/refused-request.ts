/** What the core has refused, a request or a connection, as it stands in the arena. */
import { getAddon, type LaneRefusal } from './addon.js';
import { RefusalRecord as Layout } from './generated/shared-layout.js';

export interface RefusedRequest {
  /** A name such as `invalidRequestLine`. */
  readonly reason: string;
  readonly status: number;
  /** The number of the connection; 0 where the arena had no room for the details. */
  readonly connectionNumber: number;
  /** `undefined` on a Unix socket. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
  /** From the first byte of the request to its refusal (ms). */
  readonly duration: number;
  /** Whether the application has the request already: its body is at fault. */
  readonly dispatched: boolean;
  /** What is at fault, as received: one character for each byte. */
  readonly input: string;
}

/** A connection that a flood of frames has ended. */
export interface FloodedConnection {
  /** A name such as `pings`. */
  readonly kind: string;
  /** 0 where the arena had no room for the details. */
  readonly connectionNumber: number;
  /** `undefined` on a Unix socket. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
}

const NOTHING = {
  connectionNumber: 0,
  remoteAddress: undefined,
  remotePort: 0,
  duration: 0,
  dispatched: false,
  input: '',
} as const;

let reasons: readonly LaneRefusal[] | undefined;

/** All the reasons for which the core refuses requests. */
export function refusalReasons(): readonly LaneRefusal[] {
  return (reasons ??= getAddon().refusals());
}

/** Reads the record of a REFUSED event. */
export function readRefusedRequest(
  arena: Uint8Array,
  number: number,
  offset: number,
  length: number,
): RefusedRequest {
  const { reason = '', status = 0 } = refusalReasons().find((row) => row.number === number) ?? {};
  return { reason, status, ...readRecord(arena, offset, length) };
}

/** Reads the record of a FLOODED event. */
export function readFloodedConnection(
  arena: Uint8Array,
  number: number,
  offset: number,
  length: number,
): FloodedConnection {
  const kind = getAddon().floods()[number];
  const { connectionNumber, remoteAddress, remotePort } = readRecord(arena, offset, length);
  return { kind, connectionNumber, remoteAddress, remotePort };
}

function readRecord(
  arena: Uint8Array,
  offset: number,
  length: number,
): Omit<RefusedRequest, 'reason' | 'status'> {
  if (length < Layout.SIZE) return NOTHING;
  const record = new DataView(arena.buffer, arena.byteOffset + offset, length);
  // In the machine's own byte order, as every number that the core shares.
  const isLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  const word = (at: number): number => record.getUint32(at, isLittle);
  const addressEnd = Layout.SIZE + record.getUint8(Layout.ADDRESS_LENGTH);
  const inputEnd = addressEnd + record.getUint8(Layout.INPUT_LENGTH);
  const text = (start: number, end: number): string =>
    String.fromCharCode(...arena.subarray(offset + start, offset + end));
  return {
    connectionNumber: word(Layout.CONNECTION_HIGH) * 0x1_0000_0000 + word(Layout.CONNECTION_LOW),
    remoteAddress: text(Layout.SIZE, addressEnd) || undefined,
    remotePort: record.getUint16(Layout.PORT, isLittle),
    duration: word(Layout.DURATION) / 1000,
    dispatched: record.getUint8(Layout.DISPATCHED) === 1,
    input: text(addressEnd, inputEnd),
  };
}
