/** RFC 9113 sections 6.1 to 6.4, 6.6 and 6.10: the frames that carry and end a stream. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import {
  Flag,
  FrameType,
  continuation,
  data,
  frame,
  headers,
  priority,
  pushPromise,
  rstStream,
} from '../../../support/h2/frames.js';
import { block } from '../../../support/h2/hpack.js';
import {
  alive,
  answered,
  connectionError,
  serves,
  streamError,
} from '../../../support/h2/verdicts.js';

const NO_HEADER = Buffer.alloc(0);

export const carriers: readonly Case[] = [
  simple('6.1 DATA in several frames, empty ones among them', async (client) => {
    const id = client.request(client.post(), { endStream: false });
    client.send(data(id, 'one'), data(id, ''), data(id, 'two'), data(id, '', { endStream: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple('6.1 DATA with padding', async (client) => {
    const id = client.request(client.post(), { endStream: false });
    client.send(
      data(id, 'one', { padding: 0 }),
      data(id, 'two', { padding: 255 }),
      data(id, '', { padding: 9 }),
      data(id, '', { padding: 0, endStream: true }),
    );
    await answered(client, id);
    await alive(client);
  }),
  simple(
    '6.1 what a body holds comes without its padding',
    async (client) => {
      const id = client.request(client.post('/echo'), { endStream: false });
      client.send(data(id, 'one', { padding: 7 }), data(id, 'two', { padding: 0 }));
      client.send(data(id, 'three', { padding: 255, endStream: true }));
      const { text } = await answered(client, id);
      if (text !== 'onetwothree') throw client.error(text);
    },
    ['application'],
  ),
  simple('6.1 DATA on stream 0 is a connection error', async (client) => {
    client.send(data(0, 'x'));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.1 padding as long as the frame is a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(data(id, 'four', { padLength: 5, endStream: true }));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.1 much more padding than frame is a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(data(id, 'four', { padLength: 255, endStream: true }));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple(
    '6.1 a padded DATA frame without the length of its padding is an error',
    async (client) => {
      const id = client.request(client.post('/drain'), { endStream: false });
      client.send(frame(FrameType.DATA, Flag.PADDED, id));
      await connectionError(client, 'FRAME_SIZE_ERROR', 'PROTOCOL_ERROR');
    },
  ),
  simple('6.2 HEADERS with padding', async (client) => {
    for (const padding of [0, 1, 255]) {
      await answered(client, client.request(client.get(), { padding }));
    }
    await alive(client);
  }),
  simple('6.2 HEADERS with padding and priority', async (client) => {
    const options = { padding: 5, priority: { dependency: 0, weight: 200, exclusive: true } };
    await answered(client, client.request(client.get(), options));
    await alive(client);
  }),
  simple('6.2 HEADERS on stream 0 is a connection error', async (client) => {
    client.send(headers(0, block(client.get()), { endStream: true }));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.2 HEADERS with more padding than frame is a connection error', async (client) => {
    client.request([], { padLength: 1 });
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple(
    '6.2 HEADERS whose padding reaches into its block is a connection error',
    async (client) => {
      const id = client.nextId();
      const bytes = block(client.get());
      client.send(headers(id, bytes, { endStream: true, padLength: bytes.length + 1 }));
      await connectionError(client, 'PROTOCOL_ERROR');
    },
  ),
  simple(
    '6.2 HEADERS whose padding leaves no room for its priority is an error',
    async (client) => {
      const id = client.nextId();
      const payload = Buffer.concat([Buffer.of(10, 0, 0, 0, 0, 1), Buffer.alloc(9)]);
      const flags = Flag.PADDED | Flag.PRIORITY | Flag.END_HEADERS | Flag.END_STREAM;
      client.send(frame(FrameType.HEADERS, flags, id, payload));
      await connectionError(client, 'PROTOCOL_ERROR', 'FRAME_SIZE_ERROR');
    },
  ),
  simple('6.2 HEADERS too short for its priority is an error', async (client) => {
    const id = client.nextId();
    const flags = Flag.PRIORITY | Flag.END_HEADERS | Flag.END_STREAM;
    client.send(frame(FrameType.HEADERS, flags, id, Buffer.alloc(4)));
    await connectionError(client, 'FRAME_SIZE_ERROR', 'PROTOCOL_ERROR');
  }),
  simple(
    '6.2 a padded HEADERS frame without the length of its padding is an error',
    async (client) => {
      const id = client.nextId();
      client.send(frame(FrameType.HEADERS, Flag.PADDED | Flag.END_HEADERS, id));
      await connectionError(client, 'FRAME_SIZE_ERROR', 'PROTOCOL_ERROR');
    },
  ),
  simple('6.2 HEADERS without a field is a malformed request', async (client) => {
    const id = client.request([]);
    await streamError(client, id, ['PROTOCOL_ERROR'], { orAnswer: true });
  }),
  simple('6.3 PRIORITY of every kind', async (client) => {
    client.send(
      priority(1, { dependency: 0, weight: 0 }),
      priority(1, { dependency: 0, weight: 255 }),
      priority(3, { dependency: 1, weight: 15 }),
      priority(5, { dependency: 1, exclusive: true, weight: 15 }),
      priority(2 ** 31 - 1, { dependency: 2 ** 31 - 3, weight: 15 }),
    );
    await serves(client);
  }),
  simple('6.3 PRIORITY on stream 0 is a connection error', async (client) => {
    client.send(priority(0, { dependency: 1 }));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  ...[0, 4, 6].map((length) =>
    simple(`6.3 PRIORITY of ${String(length)} bytes is a FRAME_SIZE_ERROR`, async (client) => {
      const id = client.request(client.post('/drain'), { endStream: false });
      client.send(frame(FrameType.PRIORITY, 0, id, Buffer.alloc(length)));
      await streamError(client, id, ['FRAME_SIZE_ERROR'], { orConnection: true });
    }),
  ),
  simple('6.4 RST_STREAM ends a stream, and the connection goes on', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(rstStream(id, 'CANCEL'));
    await serves(client);
  }),
  simple('6.4 RST_STREAM on stream 0 is a connection error', async (client) => {
    client.send(rstStream(0, 'CANCEL'));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.4 RST_STREAM on an idle stream is a connection error', async (client) => {
    await answered(client, client.request(client.get()));
    client.send(rstStream(101, 'CANCEL'));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  ...[0, 3, 5].map((length) =>
    simple(`6.4 RST_STREAM of ${String(length)} bytes is a FRAME_SIZE_ERROR`, async (client) => {
      const id = client.request(client.post('/drain'), { endStream: false });
      client.send(frame(FrameType.RST_STREAM, 0, id, Buffer.alloc(length)));
      await connectionError(client, 'FRAME_SIZE_ERROR');
    }),
  ),
  simple('8.4 PUSH_PROMISE of a client is a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(pushPromise(id, 2, block(client.get())));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.6 PUSH_PROMISE on stream 0 is a connection error', async (client) => {
    client.send(pushPromise(0, 2, block(client.get())));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.10 CONTINUATION, one and several, and empty ones', async (client) => {
    const one = client.request(client.get(), { endHeaders: false });
    client.send(continuation(one, block([['x-one', '1']])));
    await answered(client, one);
    const several = client.request(client.get(), { endHeaders: false });
    client.send(
      continuation(several, block([['x-one', '1']]), false),
      continuation(several, NO_HEADER, false),
      continuation(several, block([['x-two', '2']]), false),
      continuation(several, NO_HEADER),
    );
    await answered(client, several);
    await alive(client);
  }),
  simple('6.10 HEADERS may be empty, and all of the block in CONTINUATION', async (client) => {
    const id = client.request([], { endHeaders: false });
    client.send(continuation(id, block(client.get())));
    await answered(client, id);
    await alive(client);
  }),
  simple('6.10 END_STREAM of HEADERS counts, that of CONTINUATION is no flag', async (client) => {
    const id = client.request(client.post(), { endHeaders: false, endStream: false });
    const flags = Flag.END_HEADERS | Flag.END_STREAM;
    client.send(frame(FrameType.CONTINUATION, flags, id, block([['x-one', '1']])));
    client.send(data(id, 'body', { endStream: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple('6.10 CONTINUATION on stream 0 is a connection error', async (client) => {
    client.request(client.get(), { endHeaders: false });
    client.send(continuation(0, block([['x-one', '1']])));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple(
    '6.10 CONTINUATION behind HEADERS with END_HEADERS is a connection error',
    async (client) => {
      const id = client.request(client.post('/drain'), { endStream: false });
      client.send(continuation(id, block([['x-one', '1']])));
      await connectionError(client, 'PROTOCOL_ERROR');
    },
  ),
  simple('6.10 CONTINUATION behind one with END_HEADERS is a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endHeaders: false, endStream: false });
    client.send(continuation(id, block([['x-one', '1']])));
    client.send(continuation(id, block([['x-two', '2']])));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.10 CONTINUATION behind DATA is a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(data(id, 'x'), continuation(id, block([['x-one', '1']])));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple(
    '6.10 DATA behind CONTINUATION without END_HEADERS is a connection error',
    async (client) => {
      const id = client.request(client.post('/drain'), { endHeaders: false, endStream: false });
      client.send(continuation(id, block([['x-one', '1']]), false), data(id, 'x'));
      await connectionError(client, 'PROTOCOL_ERROR');
    },
  ),
];
