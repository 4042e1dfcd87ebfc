/** maxRequestBufferSize and maxResponseBufferSize: how much waits, and who waits for whom. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';
import { deferred, until, within } from '../support/until.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const SIZE = 30_000_000;
/** What is read at once, and what the head takes (bytes). */
const ONE_READ = 65_536 + 1024;

/** Settles with the counter when it no longer changes. */
async function settled(counter: () => number): Promise<number> {
  let last = -1;
  await until(async () => {
    const now = counter();
    const still = now === last && now > 0;
    last = now;
    await delay(40);
    return still;
  }, 'the counter stands still');
  return last;
}

/** A server whose handler takes the first piece of a body, and the rest when the gate opens. */
async function startSlowReader(
  t: Parameters<typeof startServer>[0],
  limits: Record<string, number | null>,
): Promise<WireServer & { open: () => void }> {
  const gate = deferred();
  const server = await startServer(
    t,
    async ({ request, response }) => {
      const iterator = request.body[Symbol.asyncIterator]();
      let length = (await iterator.next()).value?.byteLength ?? 0;
      await gate.promise;
      for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) {
        length += step.value.byteLength;
      }
      await response.text(String(length));
    },
    { limits: { maxRequestBodySize: null, ...limits } },
  );
  return { ...server, open: gate.resolve };
}

for (const limit of [32_768, 200_000, 1_048_576, 4_000_000]) {
  test(`maxRequestBufferSize ${String(limit)}: no more than that waits unread`, async (t) => {
    const { connect, metrics, open } = await startSlowReader(t, { maxRequestBufferSize: limit });
    const client = await connect();
    void client.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(SIZE)}\r\n\r\n`);
    void client.write(Buffer.alloc(SIZE));
    const received = await settled(() => metrics().bytesReceived);
    // The piece that the handler has taken, and one that tipped the scale.
    t.true(received <= limit + 2 * ONE_READ, String(received));
    t.true(received >= limit, String(received));
    open();
    t.is((await within(client.answer(), 'the answer')).text, String(SIZE));
  });
}

test('maxRequestBufferSize null: all of it may wait', async (t) => {
  const { connect, metrics, open } = await startSlowReader(t, { maxRequestBufferSize: null });
  const client = await connect();
  void client.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(SIZE)}\r\n\r\n`);
  void client.write(Buffer.alloc(SIZE));
  await until(() => metrics().bytesReceived > SIZE, 'all of it has come');
  open();
  t.is((await client.answer()).text, String(SIZE));
});

test('a body that nobody asks for stays with the client', async (t) => {
  const gate = deferred();
  const { connect, metrics } = await startServer(
    t,
    async ({ request, response }) => {
      await gate.promise;
      await response.text(String((await request.body.bytes()).byteLength));
    },
    { limits: { maxRequestBufferSize: null } },
  );
  const client = await connect();
  void client.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n`);
  void client.write(Buffer.alloc(20_000_000));
  t.true((await settled(() => metrics().bytesReceived)) <= ONE_READ);
  gate.resolve();
  t.is((await client.answer()).text, '20000000');
});

/** Writes pieces to a client that takes none, until it has to wait; how much was written. */
async function writtenAtOnce(
  t: Parameters<typeof startServer>[0],
  maxResponseBufferSize: number | null | undefined,
  piece: number,
  most: number,
): Promise<{ written: number; waited: boolean }> {
  let written = 0;
  let waited = false;
  const { connect } = await startServer(
    t,
    async ({ response }) => {
      while (written < most) {
        const room = response.write(Buffer.alloc(piece));
        written += piece;
        if (room !== undefined) {
          waited = true;
          break;
        }
      }
      await response.end();
    },
    { limits: maxResponseBufferSize === undefined ? {} : { maxResponseBufferSize } },
  );
  const client = await connect();
  t.is((await client.request(GET)).body.length, written);
  return { written, waited };
}

test('maxResponseBufferSize is how much is written before a writer waits', async (t) => {
  t.deepEqual(await writtenAtOnce(t, undefined, 1000, 1_000_000), {
    written: 66_000,
    waited: true,
  });
  t.deepEqual(await writtenAtOnce(t, 10_000, 1000, 100_000), { written: 10_000, waited: true });
  t.deepEqual(await writtenAtOnce(t, 300_000, 1000, 1_000_000), { written: 300_000, waited: true });
  t.deepEqual(await writtenAtOnce(t, 0, 1000, 100_000), { written: 1000, waited: true });
  t.deepEqual(await writtenAtOnce(t, null, 1000, 1_000_000), { written: 1_000_000, waited: false });
});

for (const limit of [0, 5000, 65_536, 10_000_000]) {
  test(`maxResponseBufferSize ${String(limit)}: a client that pauses stops the writer`, async (t) => {
    let written = 0;
    const { connect } = await startServer(
      t,
      async ({ response }) => {
        response.contentLength = SIZE;
        for (; written < SIZE; written += 20_000) await response.write(Buffer.alloc(20_000));
      },
      { limits: { maxResponseBufferSize: limit } },
    );
    const client = await connect();
    client.pause();
    void client.write(GET);
    const stopped = await settled(() => written);
    // The buffers of the system take up to 6 MB on either side.
    t.true(stopped < limit + 13_000_000, String(stopped));
    client.resume();
    t.is((await within(client.answer(), 'the answer')).body.length, SIZE);
  });
}

test('small buffers do not hold up pipelined requests', async (t) => {
  for (const maxResponseBufferSize of [0, 1, null]) {
    const { connect } = await startServer(
      t,
      ({ request, response }) => response.text(request.path),
      { limits: { maxResponseBufferSize } },
    );
    const client = await connect();
    let requests = '';
    for (let i = 0; i < 300; i++) requests += `GET /${String(i)} HTTP/1.1\r\nHost: h\r\n\r\n`;
    void client.write(requests);
    for (let i = 0; i < 300; i++) t.is((await client.answer()).text, `/${String(i)}`);
  }
});

test('a client that asks and takes no answers is not read without end', async (t) => {
  const { connect, metrics } = await startServer(
    t,
    ({ response }) => response.bytes(Buffer.alloc(100_000)),
    { limits: { maxResponseBufferSize: null } },
  );
  const client = await connect();
  client.pause();
  const requests = GET.repeat(1000);
  let isOver = false;
  t.teardown(() => {
    isOver = true;
  });
  void (async () => {
    while (!isOver && client.socket.writable) await client.write(requests);
  })();
  const answered = await settled(() => metrics().requests);
  t.true(answered < 2000, String(answered));
});
