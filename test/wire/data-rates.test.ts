/** Bodies that come too slowly, and answers that nobody takes. The windows are tested in C by a held clock. */
import test from 'ava';
import {
  HttpMinRequestBodyDataRateFeature,
  HttpMinResponseDataRateFeature,
} from '../../lib/features/http-features.js';
import { startServer } from '../support/wire-server.js';

const QUICK = { bytesPerSecond: 1_000_000, gracePeriod: 1001 };
const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc';

test('a body that stops is answered 408, and its reader hears of it', async (t) => {
  const errors: unknown[] = [];
  const { connect } = await startServer(
    t,
    async ({ request, response }) => {
      try {
        await request.body.bytes();
      } catch (error) {
        errors.push(error);
        throw error;
      }
      await response.text('never');
    },
    { limits: { minRequestBodyDataRate: QUICK } },
  );
  const client = await connect();
  void client.write(POST);
  const { status, head } = await client.answer();
  t.is(status, 408);
  t.regex(head, /Connection: close/);
  await client.closed;
  t.like(errors[0], { name: 'BadHttpRequestError', statusCode: 408 });
});

test('a client that takes nothing is reset, and its handler hears of it', async (t) => {
  let aborted: AbortSignal | undefined;
  const { connect } = await startServer(
    t,
    async ({ request, response }) => {
      aborted = request.aborted;
      const piece = new Uint8Array(1 << 20);
      while (!aborted.aborted) await response.write(piece);
    },
    { limits: { minResponseDataRate: QUICK } },
  );
  const client = await connect();
  client.pause();
  void client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  await new Promise<void>((resolve) => {
    const look = setInterval(() => {
      if (aborted?.aborted !== true) return;
      clearInterval(look);
      resolve();
    }, 20);
  });
  client.resume();
  await client.closed;
  t.false(client.peek().toString('latin1').endsWith('0\r\n\r\n'));
});

test('requests show their rates, and may change them', async (t) => {
  const { once } = await startServer(
    t,
    (context) => {
      const request = context.features.get(HttpMinRequestBodyDataRateFeature);
      const response = context.features.get(HttpMinResponseDataRateFeature);
      if (request === undefined || response === undefined) throw new Error('no rates');
      t.deepEqual(request.minDataRate, QUICK);
      t.deepEqual(response.minDataRate, null);
      request.minDataRate = null;
      t.is(request.minDataRate, null);
      response.minDataRate = { bytesPerSecond: 1, gracePeriod: 2000 };
      t.deepEqual(response.minDataRate, { bytesPerSecond: 1, gracePeriod: 2000 });
      for (const rate of [
        { bytesPerSecond: 0, gracePeriod: 2000 },
        { bytesPerSecond: 1.5, gracePeriod: 2000 },
        { bytesPerSecond: 1, gracePeriod: 1000 },
      ]) {
        t.throws(() => (request.minDataRate = rate), { instanceOf: RangeError });
      }
      t.throws(() => (request.minDataRate = 5 as never), { instanceOf: TypeError });
      return context.response.text('fine');
    },
    { limits: { minRequestBodyDataRate: QUICK, minResponseDataRate: null } },
  );
  t.is((await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).status, 200);
});
