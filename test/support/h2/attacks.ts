/**
 * What hostile clients of HTTP/2 do, and how each must end: a list that the test suite goes through one by
 * one, and `npm run attacks` with many connections at once. Every one is bounded in time.
 */
import type { Attacker, AttackerOptions } from './attacker.js';
import {
  FrameType,
  MAX_WINDOW,
  PREFACE,
  Setting,
  continuation,
  data,
  frame,
  goaway,
  headers,
  ping,
  priority,
  priorityUpdate,
  rstStream,
  settings,
  windowUpdate,
} from './frames.js';
import type { Field } from './hpack.js';
import { FIRST_DYNAMIC, block, indexed, literal, sizeUpdate } from './hpack.js';

/** An attack by one connection. */
export interface Http2Attack {
  readonly name: string;
  /** What is sent, in words. */
  readonly sends: string;
  /** Which limit ends it, for the report. */
  readonly limit: string;
  /** How it may end: codes of GOAWAY, or `closed` where the server cannot say anything. */
  readonly ends: readonly string[];
  /** The counter of `http2Floods`, or of `timeouts`, that must tell of it. */
  readonly flood?: string;
  readonly timeout?: string;
  /** Within which it must have ended. */
  readonly seconds: number;
  readonly options?: Omit<AttackerOptions, 'port' | 'tls'>;
  /** How many connections the test makes. Default 1. */
  readonly connections?: number;
  /** What they may make the server need (bytes), where that is more than usual. */
  readonly most?: number;
  /** Over a connection to an endpoint of TLS, which has not shaken hands. */
  readonly beforeTls?: boolean;
  /** Begins; may go on until the connection ends. */
  readonly start: (attacker: Attacker) => void | Promise<unknown>;
}

/** The limits that the server under attack has: all short, so that a run takes seconds. */
export const attackLimits = {
  requestHeadersTimeout: 2000,
  keepAliveTimeout: 3000,
  handshakeTimeout: 2000,
  lingerTimeout: 2500,
  minRequestBodyDataRate: { bytesPerSecond: 240, gracePeriod: 2000 },
  minResponseDataRate: { bytesPerSecond: 240, gracePeriod: 2000 },
  http2: { settingsTimeout: 1000 },
} as const;

/** More than anything needs to be, and what Kestrel lets pass. */
const MANY = 50_000;
const CALM = ['ENHANCE_YOUR_CALM'];

function request(method: string, path: string, extra: readonly Field[] = []): Buffer {
  const pseudo: Field[] = [
    [':method', method],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'h'],
  ];
  return block([...pseudo, ...extra]);
}

const GET = request('GET', '/');
const HOLD = request('GET', '/hold');
const LARGE = request('GET', '/large');
const POST = request('POST', '/upload');

function open(attacker: Attacker, head: Buffer, endStream = true): Buffer {
  return headers(attacker.nextId(), head, { endStream });
}

/** A flood of frames that have nothing to do with any request. */
function frames(
  name: string,
  flood: string,
  limit: string,
  piece: Buffer,
  more: Partial<Http2Attack> = {},
): Http2Attack {
  return {
    name: `${name} flood`,
    sends: `${MANY.toLocaleString('en')} ${name}`,
    limit,
    ends: CALM,
    flood,
    seconds: 5,
    start: (attacker) => {
      attacker.send(open(attacker, HOLD)); // or the connection is idle, and ends as such
      return attacker.flood(MANY, () => piece);
    },
    ...more,
  };
}

/** Streams that end with RST_STREAM, whoever sends it. */
function resets(
  name: string,
  sends: string,
  stream: (attacker: Attacker) => Buffer[],
  more: Partial<Http2Attack> = {},
): Http2Attack {
  return {
    name,
    sends: `${MANY.toLocaleString('en')} × ${sends}`,
    limit: 'http2.maxResets 1,000',
    ends: CALM,
    flood: 'resets',
    seconds: 8,
    start: (attacker) => attacker.flood(MANY, () => Buffer.concat(stream(attacker))),
    ...more,
  };
}

/** A header block that goes on in CONTINUATION frames. */
function continued(
  name: string,
  sends: string,
  flood: string,
  piece: Buffer,
  more: Partial<Http2Attack> = {},
): Http2Attack {
  return {
    name,
    sends: `HEADERS, ${MANY.toLocaleString('en')} × ${sends}`,
    limit: flood === 'emptyFrames' ? 'http2.maxEmptyFrames 1,000' : 'maxRequestHeadersTotalSize',
    ends: CALM,
    flood,
    seconds: 5,
    start: (attacker) => {
      const id = attacker.nextId();
      attacker.send(headers(id, GET, { endHeaders: false }));
      return attacker.flood(MANY, () => continuation(id, piece, false));
    },
    ...more,
  };
}

/** Reads nothing for a while: a client's system does not tell it of the end before it reads. */
function deaf(attacker: Attacker, milliseconds: number): void {
  attacker.socket.pause();
  attacker.after(milliseconds, () => attacker.socket.resume());
}

const FIELDS = block(
  Array.from({ length: 16 }, (_, i): Field => [`x-${String(i)}`, 'y'.repeat(990)]),
);

export const http2Attacks: readonly Http2Attack[] = [
  resets('rapid reset', 'HEADERS and RST_STREAM', (attacker) => [
    open(attacker, GET),
    rstStream(attacker.lastId, 'CANCEL'),
  ]),
  resets(
    'rapid reset of what waits',
    'HEADERS for what takes its time, and RST_STREAM',
    (attacker) => [open(attacker, HOLD), rstStream(attacker.lastId, 'CANCEL')],
  ),
  resets('MadeYouReset by windows', 'HEADERS and WINDOW_UPDATE beyond 2^31', (attacker) => [
    open(attacker, HOLD),
    windowUpdate(attacker.lastId, MAX_WINDOW),
  ]),
  resets(
    'MadeYouReset by WINDOW_UPDATE of 0',
    'HEADERS and WINDOW_UPDATE of 0',
    (attacker) => [open(attacker, HOLD), windowUpdate(attacker.lastId, 0)],
    { ends: ['PROTOCOL_ERROR', ...CALM], flood: undefined, limit: 'RFC 9113 section 6.9' },
  ),
  resets('MadeYouReset by content-length', 'HEADERS and more DATA than it says', (attacker) => [
    open(attacker, request('POST', '/upload', [['content-length', '1']]), false),
    data(attacker.lastId, 'xx'),
  ]),
  resets('MadeYouReset by malformed requests', 'HEADERS with a name in upper case', (attacker) => [
    open(attacker, request('GET', '/', [['X-Upper', '1']])),
  ]),
  resets(
    'MadeYouReset by HEADERS on half-closed streams',
    'HEADERS with END_STREAM, twice',
    (attacker) => [
      open(attacker, HOLD),
      headers(attacker.lastId, block([['x', 'y']]), { endStream: true }),
    ],
    { ends: ['STREAM_CLOSED', ...CALM], flood: undefined, limit: 'RFC 9113 section 5.1' },
  ),
  resets(
    'MadeYouReset by DATA on half-closed streams',
    'HEADERS with END_STREAM, and DATA',
    (attacker) => [open(attacker, HOLD), data(attacker.lastId, 'x')],
    { ends: ['STREAM_CLOSED', ...CALM], flood: undefined, limit: 'RFC 9113 section 5.1' },
  ),
  resets('MadeYouReset by streams over the limit', 'HEADERS without END_STREAM', (attacker) => [
    open(attacker, POST, false),
  ]),
  resets(
    'HEADERS for streams that were reset',
    'the trailers of a stream that was refused',
    (attacker) => {
      if (attacker.lastId > 0)
        return [headers(attacker.lastId, block([['x', 'y']]), { endStream: true })];
      return [open(attacker, request('POST', '/', [['X-Upper', '1']]), false)];
    },
  ),
  continued('CONTINUATION flood', 'CONTINUATION of 16 kB', 'headerBlocks', FIELDS, {
    start: (attacker) => {
      const id = attacker.nextId();
      attacker.send(headers(id, GET, { endHeaders: false }));
      return attacker.flood(2000, () => continuation(id, FIELDS, false));
    },
    sends: 'HEADERS, 2,000 × CONTINUATION of 16 kB',
  }),
  continued(
    'CONTINUATION flood of a malformed request',
    'CONTINUATION of 1 kB',
    'headerBlocks',
    block([['X-Upper', 'y'.repeat(1000)]]),
  ),
  continued('empty CONTINUATION flood', 'empty CONTINUATION', 'emptyFrames', Buffer.alloc(0)),
  continued('tiny CONTINUATION flood', 'CONTINUATION of 3 bytes', 'emptyFrames', literal('', '')),
  {
    name: 'CONTINUATION flood of table size updates',
    sends: 'HEADERS and 2,000 × CONTINUATION with 16,000 × "the table has 0 bytes"',
    limit: 'maxRequestHeadersTotalSize',
    ends: [...CALM, 'COMPRESSION_ERROR'],
    seconds: 5,
    start: (attacker) => {
      const id = attacker.nextId();
      const piece = Buffer.alloc(16_000, sizeUpdate(0));
      attacker.send(headers(id, piece, { endHeaders: false }));
      return attacker.flood(2000, () => continuation(id, piece, false));
    },
  },
  frames('PING', 'pings', 'http2.maxPings 1,000', ping()),
  frames('PING ACK', 'pings', 'http2.maxPings 1,000', ping('windhove', true)),
  frames('SETTINGS', 'settings', 'http2.maxSettings 100', settings()),
  frames(
    'SETTINGS that change the windows',
    'settings',
    'http2.maxSettings 100',
    settings([Setting.INITIAL_WINDOW_SIZE, 100]),
  ),
  frames(
    'SETTINGS with 1,000 entries',
    'settings',
    '32 entries',
    settings(...Array.from({ length: 1000 }, (_, i) => [0xf000 + i, i] as const)),
    {
      sends: '100 SETTINGS with 1,000 entries',
      start: (attacker) =>
        attacker.flood(100, () =>
          settings(...Array.from({ length: 1000 }, (_, i) => [0xf000 + i, i] as const)),
        ),
    },
  ),
  ...(['PING', 'SETTINGS'] as const).map((name) =>
    frames(
      name,
      name === 'PING' ? 'pings' : 'settings',
      name === 'PING' ? 'http2.maxPings 1,000' : 'http2.maxSettings 100',
      name === 'PING' ? ping() : settings(),
      {
        name: `${name} flood, unread`,
        seconds: 8,
        start: (attacker) => {
          deaf(attacker, 3000);
          return attacker.flood(MANY, () => (name === 'PING' ? ping() : settings()));
        },
      },
    ),
  ),
  {
    name: 'RST_STREAM flood',
    sends: `HEADERS, ${MANY.toLocaleString('en')} RST_STREAM for it`,
    limit: 'http2.maxResets 1,000',
    ends: CALM,
    flood: 'resets',
    seconds: 5,
    start: (attacker) => {
      attacker.send(open(attacker, HOLD));
      return attacker.flood(MANY, () => rstStream(attacker.lastId, 'CANCEL'));
    },
  },
  ...[
    { name: 'empty DATA', piece: (id: number) => data(id, '') },
    { name: 'DATA of padding', piece: (id: number) => data(id, '', { padding: 10 }) },
  ].map(({ name, piece }): Http2Attack => ({
    name: `${name} flood`,
    sends: `HEADERS, ${MANY.toLocaleString('en')} ${name}`,
    limit: 'http2.maxEmptyFrames 1,000',
    ends: CALM,
    flood: 'emptyFrames',
    seconds: 5,
    start: (attacker) => {
      attacker.send(open(attacker, POST, false));
      return attacker.flood(MANY, () => piece(attacker.lastId));
    },
  })),
  {
    name: 'empty DATA for a closed stream flood',
    sends: `a request and its answer, ${MANY.toLocaleString('en')} empty DATA for it`,
    limit: 'http2.maxEmptyFrames 1,000',
    ends: CALM,
    flood: 'emptyFrames',
    seconds: 5,
    start: (attacker) => {
      attacker.send(open(attacker, GET), data(1, ''));
      return attacker.flood(MANY, () => data(attacker.lastId, ''));
    },
  },
  frames(
    'PRIORITY_UPDATE of 1 kB',
    'priorities',
    'http2.maxPriorities 5,000',
    priorityUpdate(1, `u=1, ${'x'.repeat(1000)}`),
  ),
  frames('PRIORITY', 'priorities', 'http2.maxPriorities 5,000', priority(1, { dependency: 3 })),
  frames('PRIORITY_UPDATE', 'priorities', 'http2.maxPriorities 5,000', priorityUpdate(1, 'u=1')),
  frames(
    'PRIORITY_UPDATE for ever new streams',
    'priorities',
    'http2.maxPriorities 5,000',
    priorityUpdate(1, 'u=1'),
    {
      ends: [...CALM, 'PROTOCOL_ERROR'],
      flood: undefined,
      start: (attacker) => {
        attacker.send(open(attacker, HOLD));
        return attacker.flood(MANY, (n) => priorityUpdate(2 * n + 1, 'u=1'));
      },
    },
  ),
  frames('WINDOW_UPDATE', 'windowUpdates', 'http2.maxWindowUpdates 20,000', windowUpdate(0, 1)),
  frames('unknown frame', 'unknownFrames', 'http2.maxUnknownFrames 1,000', frame(0xfa, 0, 0, 'x')),
  frames('GOAWAY', 'unknownFrames', 'http2.maxUnknownFrames 1,000', goaway(0, 'NO_ERROR')),
  {
    name: 'HPACK bomb',
    sends: 'an entry of 4,000 bytes in the table, and 16,000 references to it in one HEADERS',
    limit: 'maxRequestHeadersTotalSize',
    ends: CALM,
    flood: 'headerBlocks',
    seconds: 5,
    start: (attacker) => {
      const entry = literal('x', 'y'.repeat(4000), 'incremental');
      attacker.send(open(attacker, Buffer.concat([GET, entry])));
      const bomb = Buffer.alloc(16_000, indexed(FIRST_DYNAMIC));
      attacker.send(open(attacker, Buffer.concat([GET, bomb])));
    },
  },
  {
    name: 'HPACK bomb in a refused request',
    sends: 'the same behind what makes it malformed',
    limit: 'maxRequestHeadersTotalSize',
    ends: CALM,
    flood: 'headerBlocks',
    seconds: 5,
    start: (attacker) => {
      const entry = literal('x', 'y'.repeat(4000), 'incremental');
      attacker.send(open(attacker, Buffer.concat([GET, entry])));
      const bomb = Buffer.alloc(16_000, indexed(FIRST_DYNAMIC));
      attacker.send(open(attacker, Buffer.concat([block([['X-Upper', '1']]), bomb])));
    },
  },
  {
    name: 'zero-window hoarding',
    sends: 'SETTINGS_INITIAL_WINDOW_SIZE 0, 100 × GET of a large answer',
    limit: 'minResponseDataRate 240 B/s over 2 s',
    ends: CALM,
    timeout: 'responseDataRate',
    seconds: 8,
    options: { settings: [[Setting.INITIAL_WINDOW_SIZE, 0]] },
    start: (attacker) => {
      for (let i = 0; i < 100; i++) attacker.send(open(attacker, LARGE));
    },
  },
  {
    name: 'zero-window hoarding with PINGs',
    sends: 'the same, and 50 PINGs a second, whose answers are bytes, too',
    limit: 'minResponseDataRate 240 B/s over 2 s',
    ends: CALM,
    timeout: 'responseDataRate',
    seconds: 8,
    options: { settings: [[Setting.INITIAL_WINDOW_SIZE, 0]] },
    start: (attacker) => {
      for (let i = 0; i < 100; i++) attacker.send(open(attacker, LARGE));
      attacker.every(20, () => {
        attacker.send(ping());
      });
    },
  },
  {
    name: 'one-byte windows',
    sends:
      'SETTINGS_INITIAL_WINDOW_SIZE 1, 100 × GET, and WINDOW_UPDATE of 1 for each byte that comes',
    limit: 'http2.maxWindowUpdates 20,000',
    ends: CALM,
    flood: 'windowUpdates',
    seconds: 12,
    options: { settings: [[Setting.INITIAL_WINDOW_SIZE, 1]] },
    start: (attacker) => {
      let updates: Buffer[] = [];
      attacker.onFrame = (type, streamId) => {
        if (type !== FrameType.DATA) return;
        if (updates.length === 0) {
          setImmediate(() => {
            attacker.send(...updates);
            updates = [];
          });
        }
        updates.push(windowUpdate(streamId, 1), windowUpdate(0, 1));
      };
      for (let i = 0; i < 100; i++) attacker.send(open(attacker, LARGE));
    },
  },
  {
    name: 'open POSTs',
    sends: '100 × POST without DATA',
    connections: 50,
    most: 120_000_000,
    limit: 'minRequestBodyDataRate 240 B/s over 2 s, then keepAliveTimeout 3 s',
    ends: ['NO_ERROR'],
    timeout: 'requestBodyDataRate',
    seconds: 9,
    start: (attacker) => {
      for (let i = 0; i < 100; i++) attacker.send(open(attacker, POST, false));
    },
  },
  {
    name: 'slow reader',
    sends: 'large windows, 100 × GET of a large answer; nothing is read',
    limit: 'minResponseDataRate 240 B/s over 2 s',
    ends: ['closed'],
    timeout: 'responseDataRate',
    seconds: 9,
    options: { settings: [[Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW]] },
    start: (attacker) => {
      deaf(attacker, 6000);
      attacker.send(windowUpdate(0, MAX_WINDOW - 65_535));
      for (let i = 0; i < 100; i++) attacker.send(open(attacker, LARGE));
    },
  },
  {
    name: 'endless requests, unread',
    sends: '90 × GET of a head of 8 kB without a body, every 20 ms; nothing is read',
    limit: 'minResponseDataRate 240 B/s over 2 s',
    ends: ['closed'],
    timeout: 'responseDataRate',
    seconds: 12,
    start: (attacker) => {
      deaf(attacker, 6000);
      const head = request('GET', '/wide');
      attacker.every(20, () => {
        attacker.send(...Array.from({ length: 90 }, () => open(attacker, head)));
      });
    },
  },
  {
    name: 'endless header block, slowly',
    sends: 'HEADERS, and CONTINUATION with one field every 300 ms',
    limit: 'requestHeadersTimeout 2 s',
    ends: CALM,
    timeout: 'requestHeaders',
    seconds: 5,
    start: (attacker) => {
      const id = attacker.nextId();
      attacker.send(headers(id, GET, { endHeaders: false }));
      attacker.every(300, () => {
        attacker.send(continuation(id, block([['x', 'y']]), false));
      });
    },
  },
  {
    name: 'endless header block beside a request',
    sends: 'a request that takes its time; HEADERS, and CONTINUATION every 300 ms',
    limit: 'requestHeadersTimeout 2 s',
    ends: CALM,
    timeout: 'requestHeaders',
    seconds: 5,
    start: (attacker) => {
      attacker.send(open(attacker, HOLD));
      const id = attacker.nextId();
      attacker.send(headers(id, GET, { endHeaders: false }));
      attacker.every(300, () => {
        attacker.send(continuation(id, block([['x', 'y']]), false));
      });
    },
  },
  {
    name: 'endless HEADERS frame',
    sends: 'a request that takes its time; HEADERS of 10,000 bytes, one byte every 300 ms',
    limit: 'requestHeadersTimeout 2 s',
    ends: CALM,
    timeout: 'requestHeaders',
    seconds: 5,
    start: (attacker) => {
      attacker.send(open(attacker, HOLD));
      attacker.send(frame(FrameType.HEADERS, 0, attacker.nextId(), GET, { length: 10_000 }));
      attacker.every(300, () => {
        attacker.send(Buffer.of(0x82));
      });
    },
  },
  {
    name: 'no SETTINGS ACK',
    sends: 'a request every 200 ms, but no acknowledgement',
    limit: 'http2.settingsTimeout 1 s',
    ends: ['SETTINGS_TIMEOUT'],
    flood: 'unacknowledgedSettings',
    seconds: 4,
    options: { ack: false },
    start: (attacker) => {
      attacker.send(open(attacker, HOLD));
      attacker.every(200, () => {
        attacker.send(open(attacker, GET));
      });
    },
  },
  {
    name: 'half a preface',
    sends: '10 bytes of the preface',
    limit: 'requestHeadersTimeout 2 s',
    ends: ['closed'],
    timeout: 'requestHeaders',
    seconds: 5,
    options: { silent: true },
    start: (attacker) => {
      attacker.send(PREFACE.subarray(0, 10));
    },
  },
  {
    name: 'half a handshake',
    sends: 'the start of a ClientHello',
    limit: 'handshakeTimeout 2 s',
    ends: ['closed'],
    timeout: 'handshake',
    seconds: 5,
    options: { silent: true },
    beforeTls: true,
    start: (attacker) => {
      attacker.send(Buffer.from('160301020001', 'hex'), Buffer.alloc(100));
    },
  },
];
