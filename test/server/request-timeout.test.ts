/** The time that a request may take: by option, by route, and by its feature. */
import test from 'ava';
import { HttpRequestTimeoutFeature } from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { withTimeout } from '../../lib/server/with-timeout.js';
import { deferred } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

function featureOf(context: HttpContext): HttpRequestTimeoutFeature {
  const feature = context.features.get(HttpRequestTimeoutFeature);
  if (feature === undefined) throw new Error('no HttpRequestTimeoutFeature');
  return feature;
}

/** Settles when the request is aborted, with the reason. */
function abortOf(context: HttpContext): Promise<unknown> {
  const { aborted } = context.request;
  return new Promise((resolve) => {
    aborted.addEventListener('abort', () => {
      resolve(aborted.reason);
    });
  });
}

test('a handler that takes too long is told, and 504 answered', async (t) => {
  const reasons: unknown[] = [];
  const { connect, reported } = await startServer(
    t,
    async (context) => {
      reasons.push(await abortOf(context));
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    },
    { limits: { requestTimeout: 30 } },
  );
  const client = await connect();
  const { status, head } = await client.request(GET);
  t.is(status, 504);
  t.notRegex(head, /Connection: close/);
  t.like(reasons[0], { code: 'WH_ERR_REQUEST_TIMEOUT' });
  t.is((await client.request(GET)).status, 504); // the connection lives on
  t.deepEqual(reported, []);
});

test('a handler may answer its time-out itself', async (t) => {
  const { once } = await startServer(
    t,
    async (context) => {
      await abortOf(context);
      context.response.statusCode = 503;
      await context.response.text('busy');
    },
    { limits: { requestTimeout: 30 } },
  );
  const { status, body } = await once(GET);
  t.is(status, 503);
  t.is(body.toString(), 'busy');
});

test('a handler that fails because of its time-out answers 504, and nothing is reported', async (t) => {
  const { once, reported } = await startServer(
    t,
    async (context) => {
      throw await abortOf(context);
    },
    { limits: { requestTimeout: 30 } },
  );
  t.is((await once(GET)).status, 504);
  t.deepEqual(reported, []);
});

test('an answer that has started is cut off', async (t) => {
  const { connect } = await startServer(
    t,
    async (context) => {
      await context.response.write('begun');
      await abortOf(context);
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
    { limits: { requestTimeout: 30 } },
  );
  const client = await connect();
  await t.throwsAsync(client.request(GET), { message: /cut/ });
});

test('what a handler writes after its time is refused, and reaches nobody', async (t) => {
  const done = deferred();
  const codes: unknown[] = [];
  const { connect } = await startServer(
    t,
    async (context) => {
      if (context.request.path === '/next') return context.response.text('next');
      await abortOf(context);
      await new Promise((resolve) => setTimeout(resolve, 20));
      try {
        await context.response.text('late');
      } catch (error) {
        codes.push((error as { code?: unknown }).code);
      }
      done.resolve();
      return undefined;
    },
    { limits: { requestTimeout: 20 } },
  );
  const client = await connect();
  t.is((await client.request(GET)).status, 504);
  const { body } = await client.request(GET.replace('/', '/next'));
  t.is(body.toString(), 'next');
  await done.promise;
  t.deepEqual(codes, ['WH_ERR_RESPONSE_ENDED']);
});

test('a handler in time is not disturbed, whatever the others do', async (t) => {
  const { connect } = await startServer(
    t,
    async (context) => {
      if (context.request.path === '/slow') {
        await abortOf(context);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
      await context.response.text(String(context.request.aborted.aborted));
    },
    { limits: { requestTimeout: 200 } },
  );
  const slow = (await connect()).request(GET.replace('/', '/slow'));
  const client = await connect();
  for (let i = 0; i < 50; i++) t.is((await client.request(GET)).body.toString(), 'false');
  t.is((await slow).status, 504);
});

test('a route has its own limit, and a request may change it', async (t) => {
  const patient = withTimeout(null, async (context) => {
    await new Promise((resolve) => setTimeout(resolve, 60));
    await context.response.text(String(featureOf(context).timeLeft));
  });
  const hurried = withTimeout(20, async (context) => {
    const { timeLeft } = featureOf(context);
    if (timeLeft === undefined || timeLeft > 20) throw new Error(`${String(timeLeft)} ms left`);
    await abortOf(context);
  });
  const { once } = await startServer(
    t,
    (context) => (context.request.path === '/patient' ? patient(context) : hurried(context)),
    { limits: { requestTimeout: 40 } },
  );
  const { status, body } = await once(GET.replace('/', '/patient'));
  t.is(status, 200);
  t.is(body.toString(), 'undefined');
  t.is((await once(GET)).status, 504);
});

test('what is no time is refused', async (t) => {
  t.throws(() => withTimeout('1' as never, () => undefined), { code: 'WH_ERR_INVALID_ARGUMENT' });
  t.throws(() => withTimeout(1, 1 as never), { code: 'WH_ERR_INVALID_ARGUMENT' });
  const { once } = await startServer(t, (context) => {
    const feature = featureOf(context);
    for (const time of [0, -1, Number.NaN, 2 ** 31]) {
      t.throws(() => feature.setTimeout(time), {
        instanceOf: RangeError,
        code: 'WH_ERR_INVALID_ARGUMENT',
      });
    }
    t.throws(() => feature.setTimeout('5' as never), { instanceOf: TypeError });
    feature.setTimeout(Infinity);
    t.is(feature.timeLeft, undefined);
    return context.response.text('fine');
  });
  t.is((await once(GET)).status, 200);
});
