/** Limits of size and of rate, and what is answered over them. */
import { Setting, continuation, headers } from '../../support/h2/frames.js';
import type { H2Client } from '../../support/h2-client.js';
import type { Field } from '../../support/h2/hpack.js';
import { FIRST_DYNAMIC, block, indexed, literal } from '../../support/h2/hpack.js';
import { overBoth } from '../../support/h2/server.js';
import { serves } from '../../support/h2/verdicts.js';
import { captureErrors } from '../../support/quiet-console.js';
import { until } from '../../support/until.js';

captureErrors();

/** Opens a stream with a block of any size, in as few frames as it takes. */
function sendBlock(client: H2Client, bytes: Buffer): number {
  const id = client.nextId();
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_384) pieces.push(bytes.subarray(at, at + 16_384));
  client.send(
    headers(id, pieces[0], { endStream: true, endHeaders: pieces.length === 1 }),
    ...pieces.slice(1).map((piece, i) => continuation(id, piece, i === pieces.length - 2)),
  );
  return id;
}

overBoth(
  'a field section over the limit is answered 431, and the connection lives',
  async (t, start) => {
    let ran = 0;
    const { open } = await start(
      ({ response }) => {
        ran++;
        return response.text('hello');
      },
      { limits: { maxRequestHeadersTotalSize: 8192 } },
    );
    const client = await open();
    t.is(client.serverSettings.get(Setting.MAX_HEADER_LIST_SIZE), 8192);
    const large = Array.from({ length: 3 }, (_, i): Field => [`x-${String(i)}`, 'y'.repeat(3000)]);
    // What is refused has its place in the dynamic table all the same.
    const bytes = Buffer.concat([
      block(client.get()),
      literal('x-kept', 'kept', 'incremental'),
      block(large),
    ]);
    const { status } = await client.response(sendBlock(client, bytes));
    t.is(status, 431);
    t.is(ran, 0);
    await serves(client);
    const again = sendBlock(client, Buffer.concat([block(client.get()), indexed(FIRST_DYNAMIC)]));
    t.is((await client.response(again)).status, 200);
    t.is((await client.fetch(client.get('/', large.slice(0, 2)))).status, 200);
  },
);

overBoth('too many fields are answered 431, and the connection lives', async (t, start) => {
  const { open } = await start(({ response }) => response.text('hello'), {
    limits: { maxRequestHeaderCount: 20 },
  });
  const client = await open();
  const fields = (count: number): Field[] =>
    Array.from({ length: count }, (_, i): Field => [`x-${String(i)}`, 'y']);
  t.is((await client.fetch(client.get('/', fields(21)))).status, 431);
  t.is((await client.fetch(client.get('/', fields(10)))).status, 200);
  await serves(client);
});

overBoth('one field over its limit is answered 431, and the connection lives', async (t, start) => {
  const { open } = await start(({ response }) => response.text('hello'), {
    limits: { http2: { maxRequestHeaderFieldSize: 1000 } },
  });
  const client = await open();
  t.is((await client.fetch(client.get('/', [['x-large', 'y'.repeat(1001)]]))).status, 431);
  t.is((await client.fetch(client.get('/', [['x'.repeat(1001), 'y']]))).status, 431);
  t.is((await client.fetch(client.get('/', [['x-large', 'y'.repeat(1000)]]))).status, 200);
  await serves(client);
});

overBoth('a target over the limit is refused, and the connection lives', async (t, start) => {
  const { open } = await start(({ response }) => response.text('hello'), {
    limits: { maxRequestLineSize: 200 },
  });
  const client = await open();
  const { status, reset } = await client.fetch(client.get(`/${'a'.repeat(300)}`));
  t.true(status === 414 || reset === 'PROTOCOL_ERROR', `${String(status)} ${String(reset)}`);
  await serves(client);
});

overBoth('a client that takes nothing of an answer is let go, by its stream', async (t, start) => {
  const { open, metrics } = await start(
    async ({ response }) => {
      await response.bytes(Buffer.alloc(100_000));
    },
    { limits: { minResponseDataRate: { bytesPerSecond: 1000, gracePeriod: 1001 } } },
  );
  const client = await open({ settings: [[Setting.INITIAL_WINDOW_SIZE, 0]], autoWindow: false });
  client.request(client.get());
  await client.takeHeaders(client.lastStreamId);
  await client.ended();
  await until(() => metrics().activeRequests === 0, 'its request is over');
  t.pass();
});

overBoth('a client whose connection has no window is let go as well', async (t, start) => {
  const { open, metrics } = await start(
    async ({ response }) => {
      await response.bytes(Buffer.alloc(200_000));
    },
    { limits: { minResponseDataRate: { bytesPerSecond: 1000, gracePeriod: 1001 } } },
  );
  const client = await open({
    settings: [[Setting.INITIAL_WINDOW_SIZE, 1_000_000]],
    autoWindow: false,
  });
  client.request(client.get());
  await client.ended();
  await until(() => metrics().activeRequests === 0, 'its request is over');
  t.pass();
});

overBoth('a client that sends a body too slowly is let go', async (t, start) => {
  const { open, metrics } = await start(
    async ({ request }) => {
      await request.body.bytes().catch(() => undefined);
    },
    { limits: { minRequestBodyDataRate: { bytesPerSecond: 1000, gracePeriod: 1001 } } },
  );
  const client = await open();
  const id = client.request(client.post(), { endStream: false });
  // 408, or the end of the stream or of the connection: Kestrel ends the connection.
  await client.take(
    (frame) =>
      frame.type === 'GOAWAY' ||
      frame.type === 'END' ||
      ((frame.type === 'HEADERS' || frame.type === 'RST_STREAM') && frame.streamId === id),
    'the end of its patience',
  );
  await until(() => metrics().activeRequests === 0, 'its request is over');
  t.pass();
});
