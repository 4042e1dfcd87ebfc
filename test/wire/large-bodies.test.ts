import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const MEGABYTE = 1_048_576;
const SIZE = 50 * MEGABYTE;
/** What may be in flight on top of a body that streams (bytes). */
const SLACK = 40 * MEGABYTE;

/** A block whose bytes tell where they belong. */
const BLOCK = Buffer.alloc(MEGABYTE);
for (let i = 0; i < MEGABYTE; i += 4) BLOCK.writeUInt32LE(i, i);
const DIGEST = digestOf(Array<Buffer>(50).fill(BLOCK));

function digestOf(blocks: Iterable<Uint8Array>): string {
  const hash = createHash('sha1');
  for (const block of blocks) hash.update(block);
  return hash.digest('hex');
}

const limits = { maxRequestBodySize: null };

for (const [framing, head, frame] of [
  ['with a length', `Content-Length: ${String(SIZE)}`, (block: Buffer) => [block]],
  [
    'in chunks',
    'Transfer-Encoding: chunked',
    (block: Buffer) => [
      Buffer.from(`${block.length.toString(16)}\r\n`),
      block,
      Buffer.from('\r\n'),
    ],
  ],
] as const) {
  for (const way of ['bytes', 'iterator', 'stream', 'readable'] as const) {
    test.serial(`50 MB ${framing} are read by ${way}`, async (t) => {
      const { connect } = await startServer(
        t,
        async ({ request, response }) => {
          const hash = createHash('sha1');
          let length = 0;
          let pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
          if (way === 'bytes') pieces = [await request.body.bytes()];
          else if (way === 'iterator') pieces = request.body;
          else if (way === 'stream') pieces = request.body.stream();
          else pieces = request.body.readable();
          for await (const piece of pieces) {
            hash.update(piece);
            length += piece.byteLength;
          }
          await response.text(`${String(length)} ${hash.digest('hex')}`);
        },
        { limits },
      );
      const client = await connect();
      void client.write(`POST / HTTP/1.1\r\nHost: h\r\n${head}\r\n\r\n`);
      for (let i = 0; i < 50; i++) {
        for (const part of frame(BLOCK)) void client.write(part);
      }
      if (framing === 'in chunks') void client.write('0\r\n\r\n');
      t.is((await within(client.answer(), 'the answer')).text, `${String(SIZE)} ${DIGEST}`);
      t.is((await client.request('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).status, 200);
    });
  }
}

test.serial('an application that does not read stops the sender', async (t) => {
  const gate = deferred();
  const { connect, metrics } = await startServer(
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
    { limits },
  );
  const client = await connect();
  const before = process.memoryUsage.rss();
  void client.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(SIZE)}\r\n\r\n`);
  for (let i = 0; i < 50; i++) void client.write(BLOCK);
  let last = -1;
  await until(async () => {
    const { bytesReceived } = metrics();
    const still = bytesReceived === last;
    last = bytesReceived;
    await delay(50);
    return still && bytesReceived > 1000;
  }, 'the server stops reading');
  t.log(`${(last / 1e6).toFixed(2)} MB taken`);
  t.true(last < 2 * MEGABYTE, String(last));
  t.true(process.memoryUsage.rss() - before < SLACK);
  gate.resolve();
  t.is((await client.answer()).text, String(SIZE));
});

test.serial('a reader that pauses stops the writer, whose memory stays bounded', async (t) => {
  let written = 0;
  let waits = 0;
  const { connect } = await startServer(t, async ({ response }) => {
    for (let i = 0; i < 50; i++) {
      const room = response.write(BLOCK);
      written += BLOCK.length;
      if (room !== undefined) {
        waits++;
        await room;
      }
    }
  });
  const client = await connect();
  client.pause();
  const before = process.memoryUsage.rss();
  void client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => written > 0, 'the writer writes');
  let last = -1;
  await until(async () => {
    const still = written === last;
    last = written;
    await delay(50);
    return still;
  }, 'the writer waits');
  t.log(`${(last / 1e6).toFixed(2)} MB written`);
  t.true(last < 16 * MEGABYTE, String(last));
  t.true(process.memoryUsage.rss() - before < SLACK);
  client.resume();
  const answer = await within(client.answer(), 'the answer');
  t.is(digestOf([answer.body]), DIGEST);
  t.true(waits > 10);
});

test.serial('writes without waiting arrive all the same', async (t) => {
  const { connect } = await startServer(t, ({ response }) => {
    for (let i = 0; i < 50; i++) void response.write(BLOCK);
  });
  const answer = await (await connect()).request('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is(digestOf([answer.body]), DIGEST);
});

test.serial('small writes without waiting arrive all the same', async (t) => {
  const { connect } = await startServer(t, ({ response }) => {
    for (let i = 0; i < 100_000; i++) void response.write(`${String(i)}\n`);
  });
  const answer = await (await connect()).request('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  const lines = answer.text.split('\n');
  t.is(lines.length, 100_001);
  t.true(lines.slice(0, -1).every((line, i) => line === String(i)));
});

for (const [kind, answerWith] of [
  ['bytes', (data: Buffer) => data],
  ['text', (data: Buffer) => data.toString('latin1')],
] as const) {
  test.serial(`50 MB as ${kind} arrive whole, whenever the client reads`, async (t) => {
    const whole = Buffer.concat(Array<Buffer>(50).fill(BLOCK.map((byte) => byte & 0x7f) as Buffer));
    const data = answerWith(whole);
    const { connect } = await startServer(t, ({ response }) =>
      typeof data === 'string' ? response.text(data) : response.bytes(data),
    );
    const client = await connect();
    for (let round = 0; round < 2; round++) {
      if (round === 1) client.pause();
      void client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      if (round === 1) {
        await delay(50);
        client.resume();
      }
      const answer = await within(client.answer(), 'the answer');
      t.true(answer.body.equals(whole));
    }
  });
}

test.serial('a client that goes away frees what waits for it', async (t) => {
  const { connect, metrics } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/bytes') return response.bytes(Buffer.alloc(SIZE));
    for (let i = 0; i < 50; i++) await response.write(BLOCK);
  });
  for (const path of ['/bytes', '/write']) {
    const client = await connect();
    client.pause();
    void client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    await until(() => metrics().pinnedBuffers > 0, 'the buffer is held');
    await client.reset();
    await until(() => metrics().pinnedBuffers === 0, 'the buffer is given back');
    await until(() => metrics().activeRequests === 0, 'the request is over');
    t.is(metrics().connections, 0);
  }
});

test.serial('many large answers on one connection keep their order and their bytes', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const n = Number(request.path.slice(1));
    await delay((n * 7) % 5);
    await response.bytes(Buffer.alloc(300_000 + n, n));
  });
  const client = await connect();
  let requests = '';
  for (let i = 0; i < 40; i++) requests += `GET /${String(i)} HTTP/1.1\r\nHost: h\r\n\r\n`;
  void client.write(requests);
  for (let i = 0; i < 40; i++) {
    const { body } = await client.answer();
    t.is(body.length, 300_000 + i);
    t.true(body.equals(Buffer.alloc(300_000 + i, i)), String(i));
  }
});
