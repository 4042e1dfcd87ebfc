/** RFC 9113 section 4 and 5.5: frames, their sizes, field blocks, and what is unknown. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import type { H2Client } from '../../../support/h2-client.js';
import {
  Flag,
  FrameType,
  Setting,
  continuation,
  data,
  frame,
  headers,
  ping,
  priority,
  rstStream,
  settings,
  windowUpdate,
} from '../../../support/h2/frames.js';
import { block, indexed, literal, string } from '../../../support/h2/hpack.js';
import {
  alive,
  answered,
  connectionError,
  serves,
  streamError,
} from '../../../support/h2/verdicts.js';

/** The largest payload that the server takes. */
function most(client: H2Client): number {
  const size = client.serverSettings.get(Setting.MAX_FRAME_SIZE) ?? 16_384;
  if (size === 2 ** 24 - 1) throw new Error('the server takes the largest frames that there are');
  return size;
}

/** What a literal field takes beside its value, which is of 255 bytes or more and less than 16,511. */
const FILLER_OVERHEAD = literal('filler', 'x'.repeat(255)).length - 255;

/** A block of fields of exactly so many bytes. */
function blockOf(client: H2Client, size: number): Buffer {
  const parts = [block(client.get())];
  let left = size - parts[0].length;
  while (left > 0) {
    // The last field must not be too short to be sized exactly.
    const take = left <= 8_000 ? left : Math.min(8_000, left - 1_000);
    parts.push(literal('filler', 'f'.repeat(take - FILLER_OVERHEAD)));
    left -= take;
  }
  return Buffer.concat(parts);
}

/** Frames that must not come between HEADERS and its CONTINUATION. */
const INTRUDERS: readonly (readonly [
  what: string,
  make: (client: H2Client, id: number) => Buffer,
])[] = [
  ['PRIORITY', (_, id) => priority(id, { dependency: 0 })],
  ['DATA', (_, id) => data(id, 'data')],
  ['HEADERS on the same stream', (client, id) => headers(id, block(client.get()))],
  ['HEADERS on another stream', (client) => headers(client.nextId(), block(client.get()))],
  ['CONTINUATION on another stream', (_, id) => continuation(id + 2, block([['a', 'b']]))],
  ['RST_STREAM', (_, id) => rstStream(id, 'CANCEL')],
  ['SETTINGS', () => settings()],
  ['PING', () => ping()],
  ['WINDOW_UPDATE', () => windowUpdate(0, 1)],
  ['an unknown frame (5.5)', (_, id) => frame(0xbe, 0, id, 'unknown')],
];

export const frameFormat: readonly Case[] = [
  simple('4.1 frames of an unknown type are ignored', async (client) => {
    client.send(frame(0x16, 0, 0, 'unknown'), frame(0xff, 0xff, 0, ''));
    await serves(client);
  }),
  simple('5.5 frames of an unknown type are ignored on streams of every state', async (client) => {
    client.send(frame(0x16, 0, 77, 'idle'));
    const id = client.request(client.post(), { endStream: false });
    client.send(frame(0x16, 0xff, id, 'open'), data(id, 'x'));
    client.send(frame(0x16, 0, id, 'still open'), data(id, '', { endStream: true }));
    await answered(client, id);
    client.send(frame(0x16, 0, id, 'closed'));
    await serves(client);
  }),
  simple('4.1 flags without a meaning are ignored', async (client) => {
    client.send(frame(FrameType.PING, 0xfe, 0, 'windhove'));
    await client.take((got) => got.type === 'PING' && got.ack, "the PING's ACK");
    client.send(frame(FrameType.WINDOW_UPDATE, 0xff, 0, Buffer.of(0, 0, 0, 1)));
    client.send(frame(FrameType.PRIORITY, 0xff, 7, Buffer.of(0, 0, 0, 0, 1)));
    const id = client.request(client.post(), { flags: 0x52, endStream: false });
    client.send(data(id, 'x', { flags: 0xf6, endStream: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple('4.1 the reserved bit of a stream id is ignored', async (client) => {
    client.send(frame(FrameType.PING, 0, 0, 'windhove', { reserved: true }));
    await client.take((got) => got.type === 'PING' && got.ack, "the PING's ACK");
    const id = client.nextId();
    const flags = Flag.END_HEADERS | Flag.END_STREAM;
    client.send(frame(FrameType.HEADERS, flags, id, block(client.get()), { reserved: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple(
    '4.1 frames may come byte by byte',
    async (client) => {
      const id = client.nextId();
      const bytes = Buffer.concat([
        ping(),
        headers(id, block(client.post()), { padding: 3 }),
        data(id, 'some', { padding: 2 }),
        data(id, '', { endStream: true }),
      ]);
      for (const byte of bytes) {
        await new Promise((resolve) => client.socket.write(Buffer.of(byte), resolve));
      }
      await answered(client, id);
      await alive(client);
    },
    [],
    // Nothing of ours may come between the bytes.
    { autoAck: false, autoWindow: false },
  ),
  simple('4.1 many frames may come at once', async (client) => {
    const ids = Array.from({ length: 50 }, () => client.nextId());
    client.send(
      ...ids.flatMap((id) => [ping(), headers(id, block(client.get()), { endStream: true })]),
    );
    await Promise.all(ids.map((id) => answered(client, id)));
    await alive(client);
  }),
  simple('4.2 a DATA frame of 2^14 bytes is taken', async (client) => {
    const id = client.request(client.post(), { endStream: false });
    client.send(data(id, Buffer.alloc(16_384), { endStream: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple('4.2 a HEADERS frame of 2^14 bytes is taken', async (client) => {
    const id = client.nextId();
    client.send(headers(id, blockOf(client, 16_384), { endStream: true }));
    const { status, reset } = await client.response(id);
    // Its fields may be more than the server wants.
    if (client.strict ? status !== 200 : status === 0) throw client.error(`${String(reset)}`);
    await alive(client);
  }),
  simple('4.2 a frame that is padded to 2^14 bytes is taken', async (client) => {
    const id = client.request(client.post(), { padding: 255, endStream: false });
    client.send(data(id, Buffer.alloc(16_384 - 256), { padding: 255, endStream: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple('4.2 a DATA frame that is too large is a FRAME_SIZE_ERROR', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(data(id, Buffer.alloc(most(client) + 1), { endStream: true }));
    await streamError(client, id, ['FRAME_SIZE_ERROR'], { orConnection: true });
  }),
  simple('4.2 a HEADERS frame that is too large is a FRAME_SIZE_ERROR', async (client) => {
    const id = client.nextId();
    client.send(headers(id, blockOf(client, most(client) + 1), { endStream: true }));
    await connectionError(client, 'FRAME_SIZE_ERROR');
  }),
  simple('4.2 a CONTINUATION frame that is too large is a FRAME_SIZE_ERROR', async (client) => {
    const id = client.request(client.get(), { endHeaders: false });
    client.send(continuation(id, blockOf(client, most(client) + 1)));
    await connectionError(client, 'FRAME_SIZE_ERROR');
  }),
  simple('4.2 a SETTINGS frame that is too large is a FRAME_SIZE_ERROR', async (client) => {
    const size = most(client) + 6 - (most(client) % 6);
    client.send(frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(size)));
    await connectionError(client, 'FRAME_SIZE_ERROR');
  }),
  simple('4.2 an unknown frame that is too large is a FRAME_SIZE_ERROR', async (client, trial) => {
    client.send(frame(0xbe, 0, 0, Buffer.alloc(most(client) + 1)));
    // RFC 9113 says so of every frame; servers differ in whether unknown ones are any.
    if (trial.strict) await connectionError(client, 'FRAME_SIZE_ERROR');
  }),
  simple('4.2 a frame that is too large is refused by its header alone', async (client) => {
    const id = client.nextId();
    client.send(frame(FrameType.HEADERS, Flag.END_HEADERS, id, '', { length: 2 ** 24 - 1 }));
    await connectionError(client, 'FRAME_SIZE_ERROR');
  }),
  ...INTRUDERS.map(([what, make]) =>
    simple(`4.3 ${what} within a field block is a connection error`, async (client) => {
      const id = client.request(client.get(), { endHeaders: false });
      client.send(make(client, id), continuation(id, block([['x-rest', 'y']])));
      await connectionError(client, 'PROTOCOL_ERROR');
    }),
  ),
  ...(
    [
      ['an index that is nowhere', (client: H2Client) => [block(client.get()), indexed(70)]],
      ['a literal that is cut short', (client: H2Client) => [block(client.get()), Buffer.of(0x40)]],
      [
        'a string that is cut short',
        (client: H2Client) => [block(client.get()), Buffer.of(0x00, 0x05, 0x61)],
      ],
      [
        'a value that is missing',
        (client: H2Client) => [block(client.get()), Buffer.of(0x00), string('name')],
      ],
    ] as const
  ).map(([what, parts]) =>
    simple(`4.3 a field block with ${what} is a COMPRESSION_ERROR`, async (client) => {
      const id = client.nextId();
      client.send(headers(id, Buffer.concat(parts(client)), { endStream: true }));
      await connectionError(client, 'COMPRESSION_ERROR');
    }),
  ),
  simple('4.3 a field block in two pieces is one, wherever it is cut', async (client) => {
    const bytes = block(client.get('/', [['x-long', 'y'.repeat(300)]]));
    const cuts = Array.from({ length: 40 }, (_, i) => 2 * i).concat(bytes.length);
    const ids = cuts.map((cut) => {
      const id = client.nextId();
      client.send(
        headers(id, bytes.subarray(0, cut), { endStream: true, endHeaders: false }),
        continuation(id, bytes.subarray(cut)),
      );
      return id;
    });
    await Promise.all(ids.map((id) => answered(client, id)));
    await alive(client);
  }),
  simple(
    '4.3 the block of a request that is refused counts for those behind it',
    async (client) => {
      const bad = client.nextId();
      const spoilt = [literal('x-kept', 'kept', 'incremental'), literal('Upper', 'case')];
      client.send(
        headers(bad, Buffer.concat([block(client.get()), ...spoilt]), { endStream: true }),
      );
      await client.take(
        (got) => (got.type === 'RST_STREAM' || got.type === 'HEADERS') && got.streamId === bad,
        'the refusal',
      );
      const good = client.nextId();
      client.send(
        headers(good, Buffer.concat([block(client.get()), indexed(62)]), { endStream: true }),
      );
      await answered(client, good);
      await alive(client);
    },
  ),
];
