/** RFC 9113 section 5: the states of streams, their ids and their number. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import type { H2Client } from '../../../support/h2-client.js';
import type { ErrorCode } from '../../../support/h2/frames.js';
import {
  Setting,
  continuation,
  data,
  headers,
  ping,
  priority,
  rstStream,
  windowUpdate,
} from '../../../support/h2/frames.js';
import { block } from '../../../support/h2/hpack.js';
import {
  alive,
  answered,
  connectionError,
  malformed,
  serves,
  streamError,
} from '../../../support/h2/verdicts.js';

/** A stream that is closed: its request and its answer are complete. */
async function closed(client: H2Client): Promise<number> {
  const id = client.request(client.get());
  await answered(client, id);
  return id;
}

/** A stream that the client has ended and the server has not. */
async function halfClosed(client: H2Client): Promise<number> {
  const id = client.request(client.get('/hold'));
  await client.ping();
  return id;
}

const CLOSED = ['STREAM_CLOSED'] as const;
const EITHER = ['STREAM_CLOSED', 'PROTOCOL_ERROR'] as const;

/** The code that the RFC's words ask for where servers, but windhover, differ. */
function exactly(client: H2Client, code: (typeof EITHER)[number]): readonly ErrorCode[] {
  return client.strict ? [code] : EITHER;
}

export const streamStates: readonly Case[] = [
  simple('5.1 idle: DATA is a connection error', async (client) => {
    client.send(data(1, 'x', { endStream: true }));
    await connectionError(client, 'PROTOCOL_ERROR', 'STREAM_CLOSED');
  }),
  simple('5.1 idle: RST_STREAM is a connection error', async (client) => {
    client.send(rstStream(1, 'CANCEL'));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('5.1 idle: WINDOW_UPDATE is a connection error', async (client) => {
    client.send(windowUpdate(1, 100));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('5.1 idle: CONTINUATION is a connection error', async (client) => {
    client.send(continuation(1, block(client.get())));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('5.1 idle: PRIORITY is taken, and a lower stream can be opened', async (client) => {
    client.send(priority(7, { dependency: 0, weight: 255 }));
    await answered(client, client.request(client.get()));
    await alive(client);
  }),
  simple('5.1 idle: streams of the server are idle, too', async (client) => {
    client.send(windowUpdate(2, 100));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('5.1 half-closed (remote): WINDOW_UPDATE and PRIORITY are taken', async (client) => {
    const id = client.request(client.get());
    client.send(windowUpdate(id, 100), priority(id, { dependency: 0, weight: 1 }));
    await answered(client, id);
    await alive(client);
  }),
  simple('5.1 half-closed (remote): RST_STREAM is taken', async (client) => {
    const id = client.request(client.get());
    client.send(rstStream(id, 'CANCEL'));
    await serves(client);
  }),
  simple('5.1 half-closed (remote): DATA is a STREAM_CLOSED', async (client) => {
    const id = client.request(client.get());
    client.send(data(id, 'x', { endStream: true }));
    await streamError(client, id, CLOSED, { afterAnswer: true, orConnection: true });
  }),
  simple('5.1 half-closed (remote): HEADERS is a STREAM_CLOSED', async (client) => {
    const id = client.request(client.get());
    client.send(headers(id, block(client.get()), { endStream: true }));
    await streamError(client, id, CLOSED, {
      afterAnswer: true,
      orConnection: true,
      connectionCodes: exactly(client, 'STREAM_CLOSED'),
    });
  }),
  simple('5.1 half-closed (remote): CONTINUATION is a connection error', async (client) => {
    const id = client.request(client.get());
    client.send(continuation(id, block(client.get())));
    await connectionError(client, ...EITHER);
  }),
  simple(
    '5.1 half-closed (remote): DATA is a STREAM_CLOSED while the application works',
    async (client) => {
      const id = await halfClosed(client);
      client.send(data(id, 'x'));
      await streamError(client, id, CLOSED, { orConnection: true });
    },
    ['application'],
  ),
  simple(
    '5.1 half-closed (remote): HEADERS is a STREAM_CLOSED while the application works',
    async (client) => {
      const id = await halfClosed(client);
      client.send(headers(id, block([['x-late', 'y']]), { endStream: true }));
      await streamError(client, id, CLOSED, {
        orConnection: true,
        connectionCodes: exactly(client, 'STREAM_CLOSED'),
      });
    },
    ['application'],
  ),
  simple('5.1 closed: DATA behind our RST_STREAM is a STREAM_CLOSED', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(rstStream(id, 'CANCEL'), data(id, 'x', { endStream: true }));
    await streamError(client, id, CLOSED, { orConnection: true });
  }),
  simple('5.1 closed: HEADERS behind our RST_STREAM is a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(rstStream(id, 'CANCEL'), headers(id, block(client.get()), { endStream: true }));
    await streamError(client, id, exactly(client, 'STREAM_CLOSED'), { orConnection: true });
  }),
  simple('5.1 closed: CONTINUATION behind our RST_STREAM is a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(rstStream(id, 'CANCEL'), continuation(id, block(client.get())));
    await connectionError(client, ...EITHER);
  }),
  simple('5.1 closed: DATA behind END_STREAM is a STREAM_CLOSED', async (client) => {
    const id = await closed(client);
    client.send(data(id, 'x', { endStream: true }));
    await streamError(client, id, CLOSED, { orConnection: true });
  }),
  simple('5.1 closed: HEADERS behind END_STREAM is a connection error', async (client) => {
    const id = await closed(client);
    client.send(headers(id, block(client.get()), { endStream: true }));
    await connectionError(client, ...exactly(client, 'STREAM_CLOSED'));
  }),
  simple('5.1 closed: CONTINUATION behind END_STREAM is a connection error', async (client) => {
    const id = await closed(client);
    client.send(continuation(id, block(client.get())));
    await connectionError(client, ...EITHER);
  }),
  simple('5.1 closed: WINDOW_UPDATE and RST_STREAM may still come', async (client) => {
    const id = await closed(client);
    client.send(windowUpdate(id, 100), rstStream(id, 'NO_ERROR'));
    await serves(client);
  }),
  simple('5.1 closed: PRIORITY is taken', async (client) => {
    const id = await closed(client);
    client.send(priority(id, { dependency: 0, exclusive: true }));
    await serves(client);
  }),
  simple('5.1 closed: a stream that was passed over cannot be used any more', async (client) => {
    client.lastStreamId = 5 - 2;
    await answered(client, client.request(client.get()));
    client.send(headers(3, block(client.get()), { endStream: true }));
    await connectionError(client, ...exactly(client, 'PROTOCOL_ERROR'));
  }),
  simple('5.1 closed: DATA on a stream that was passed over is an error', async (client) => {
    client.lastStreamId = 5 - 2;
    await answered(client, client.request(client.get()));
    client.send(data(3, 'x'));
    await streamError(client, 3, EITHER, { orConnection: true });
  }),
  simple('5.4.2 what follows a stream that the server has reset is ignored', async (client) => {
    const id = client.request(client.post('/', [['Upper', 'case']]), { endStream: false });
    // In one write: all of it is under way before the server can have said anything.
    client.send(data(id, 'x'), windowUpdate(id, 1), priority(id, { dependency: 0 }));
    client.send(data(id, 'y'), headers(id, block([['x-trailer', 'z']]), { endStream: true }));
    await malformed(client, id);
    if (client.strict) await serves(client);
  }),
  simple('5.4.2 RST_STREAM is not answered with RST_STREAM', async (client) => {
    const id = client.request(client.post(), { endStream: false });
    client.send(rstStream(id, 'CANCEL'));
    await client.ping();
    const isReset = client.has((frame) => frame.type === 'RST_STREAM' && frame.code !== 'NO_ERROR');
    if (isReset) throw client.error('it was');
    await serves(client);
  }),
  simple('5.1.1 a stream with an even id cannot be opened', async (client) => {
    client.send(headers(2, block(client.get()), { endStream: true }));
    client.lastStreamId = 2;
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('5.1.1 a stream with a lower id than the last cannot be opened', async (client) => {
    client.lastStreamId = 7 - 2;
    const id = client.request(client.get());
    client.send(headers(id - 2, block(client.get()), { endStream: true }));
    await connectionError(client, ...exactly(client, 'PROTOCOL_ERROR'));
  }),
  simple('5.1.1 a lower id is refused while the higher stream is open', async (client) => {
    client.lastStreamId = 9 - 2;
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(headers(id - 4, block(client.get())));
    await connectionError(client, ...exactly(client, 'PROTOCOL_ERROR'));
  }),
  simple('5.1.1 ids may be passed over, up to the highest', async (client) => {
    for (const id of [11, 1001, 2 ** 31 - 1]) {
      client.lastStreamId = id - 2;
      await answered(client, client.request(client.get()));
    }
    await alive(client);
  }),
  simple('5.1.2 one stream more than is allowed is refused', async (client, trial) => {
    const limit = client.serverSettings.get(Setting.MAX_CONCURRENT_STREAMS) ?? Infinity;
    if (limit === Infinity) return;
    const path = trial.strict ? '/hold' : '/';
    const ids = Array.from({ length: limit + 1 }, () => client.nextId());
    const request = block(client.post(path));
    client.send(...ids.map((id) => headers(id, request)));
    await streamError(client, ids[limit], ['REFUSED_STREAM', 'PROTOCOL_ERROR']);
  }),
  simple(
    '5.1.2 a stream that ends makes room for another one, and refused ones do not count',
    async (client) => {
      const limit = client.serverSettings.get(Setting.MAX_CONCURRENT_STREAMS) ?? Infinity;
      const request = block(client.post('/hold'));
      const ids = Array.from({ length: limit + 5 }, () => client.nextId());
      client.send(...ids.map((id) => headers(id, request)));
      for (const id of ids.slice(limit)) {
        const code = await client.takeReset(id);
        if (code !== 'REFUSED_STREAM') throw client.error(code);
      }
      client.send(rstStream(ids[0], 'CANCEL'));
      await serves(client);
    },
    ['application'],
  ),
  simple('5.3 priority fields of HEADERS are taken and do no harm', async (client) => {
    for (const fields of [
      { dependency: 0, weight: 0 },
      { dependency: 0, weight: 255, exclusive: true },
      { dependency: 1001, weight: 15 },
    ]) {
      await answered(client, client.request(client.get(), { priority: fields }));
    }
    await alive(client);
  }),
  simple('5.3 PRIORITY frames are taken in any order and do no harm', async (client) => {
    const ids = [client.nextId(), client.nextId(), client.nextId()];
    client.send(
      priority(ids[0], { dependency: ids[2], weight: 0 }),
      priority(ids[1], { dependency: ids[0], weight: 255, exclusive: true }),
      priority(ids[2], { dependency: ids[1], weight: 7, exclusive: true }),
      ...ids.map((id) => headers(id, block(client.get()), { endStream: true })),
      priority(ids[0], { dependency: ids[1] }),
    );
    await Promise.all(ids.map((id) => answered(client, id)));
    await alive(client);
  }),
  simple('5.3.1 a stream that depends on itself is an error, in HEADERS', async (client) => {
    const id = client.request(client.get(), { priority: { dependency: 1 } });
    await streamError(client, id, ['PROTOCOL_ERROR'], { orConnection: true });
  }),
  simple('5.3.1 a stream that depends on itself is an error, in PRIORITY', async (client) => {
    client.send(priority(3, { dependency: 3 }));
    await streamError(client, 3, ['PROTOCOL_ERROR'], { orConnection: true });
  }),
  simple('5.4.1 behind GOAWAY of an error the connection is closed', async (client) => {
    client.send(ping('short'));
    await connectionError(client, 'FRAME_SIZE_ERROR');
    await client.ended();
  }),
  simple('5.4.1 GOAWAY of an error tells the last stream that was worked on', async (client) => {
    const first = await closed(client);
    const second = await closed(client);
    client.send(ping('short'));
    const goaway = await client.take(
      (frame) => frame.type === 'GOAWAY' || frame.type === 'END',
      'GOAWAY',
    );
    if (goaway.type !== 'GOAWAY' ? client.strict : goaway.lastStreamId < second) {
      throw client.error(`streams ${String(first)} and ${String(second)} were answered`);
    }
  }),
];
