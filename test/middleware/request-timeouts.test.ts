/** Limits of time by name and by route; by bytes on a wire. */
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { compose } from '../../lib/hosting/pipeline.js';
import type { RequestTimeoutsOptions } from '../../lib/middleware/request-timeouts.js';
import { requestTimeouts, withRequestTimeout } from '../../lib/middleware/request-timeouts.js';
import { collectWarnings } from '../support/warnings.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/** A handler that does not answer before its time is over. */
function tooSlow({ request, response }: HttpContext): Promise<void> {
  response.headers.set('X-Of-The-Handler', 'a');
  return new Promise((resolve) => {
    request.aborted.addEventListener('abort', () => {
      resolve();
    });
  });
}

const patient = async ({ response }: HttpContext): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 60));
  await response.text('done');
};

test('the default policy holds for all, and answers 504', async (t) => {
  const { connect, reported } = await startServer(
    t,
    compose([requestTimeouts({ defaultPolicy: 30 })], tooSlow),
  );
  const client = await connect();
  for (let i = 0; i < 2; i++) t.is((await client.request(GET)).status, 504);
  t.deepEqual(reported, []);
});

test('a policy answers in its own way, and the connection lives on', async (t) => {
  const options: RequestTimeoutsOptions = {
    defaultPolicy: {
      timeout: 30,
      timeoutStatusCode: 503,
      writeTimeoutResponse: ({ response }) => {
        response.headers.set('Retry-After', '5');
        return response.json({ error: 'busy' });
      },
    },
  };
  const { connect, reported } = await startServer(t, compose([requestTimeouts(options)], tooSlow));
  const client = await connect();
  for (let i = 0; i < 2; i++) {
    const { status, headers, text } = await client.request(GET);
    t.is(status, 503);
    t.is(text, '{"error":"busy"}');
    t.deepEqual(headers.get('retry-after'), ['5']);
    t.false(headers.has('x-of-the-handler'));
  }
  t.deepEqual(reported, []);
});

test('a status alone', async (t) => {
  const policy = { timeout: 30, timeoutStatusCode: 408 };
  const { once } = await startServer(t, withRequestTimeout(policy, tooSlow));
  const { status, text } = await once(GET);
  t.is(status, 408);
  t.is(text, '');
});

test('a handler has a policy by name, or none', async (t) => {
  const middleware = requestTimeouts({
    defaultPolicy: { timeout: 30, timeoutStatusCode: 503 },
    policies: {
      short: 20,
      long: { timeout: 10_000 },
      odd: { timeout: 20, timeoutStatusCode: 599 },
    },
  });
  const handlers = new Map([
    ['/short', withRequestTimeout('short', tooSlow)],
    ['/long', withRequestTimeout('long', patient)],
    ['/odd', withRequestTimeout('odd', tooSlow)],
    ['/none', withRequestTimeout(null, patient)],
    ['/number', withRequestTimeout(10_000, patient)],
    ['/other', withRequestTimeout('other', patient)],
  ]);
  const { once, reported } = await startServer(
    t,
    compose([middleware], (context) => (handlers.get(context.request.path) ?? tooSlow)(context)),
  );
  for (const [path, status] of [
    ['/', 503],
    ['/short', 504],
    ['/long', 200],
    ['/odd', 599],
    ['/none', 200],
    ['/number', 200],
    ['/other', 500],
  ] as const) {
    t.is((await once(GET.replace('/', path))).status, status, path);
  }
  t.is(reported.length, 1);
  t.like(reported[0], { code: 'WH_ERR_UNKNOWN_POLICY' });
  t.regex((reported[0] as Error).message, /'other'; there are: short, long, odd$/);
});

test('an answer that has started is cut off, and none is added', async (t) => {
  const { connect } = await startServer(
    t,
    withRequestTimeout({ timeout: 30, timeoutStatusCode: 503 }, async (context) => {
      await context.response.write('begun');
      await tooSlow2(context);
    }),
  );
  const client = await connect();
  await t.throwsAsync(client.request(GET), { message: /cut/ });
});

/** As {@link tooSlow}, and then some. */
async function tooSlow2({ request }: HttpContext): Promise<void> {
  await new Promise<void>((resolve) => {
    request.aborted.addEventListener('abort', () => {
      setTimeout(resolve, 20);
    });
  });
}

test.serial('an answer that fails is told of, and 504 answered', async (t) => {
  const warnings = collectWarnings(t);
  for (const writeTimeoutResponse of [
    () => {
      throw new Error('oops');
    },
    () => Promise.reject(new Error('oops')),
  ]) {
    const policy = { timeout: 20, timeoutStatusCode: 503, writeTimeoutResponse };
    const { once } = await startServer(t, withRequestTimeout(policy, tooSlow2));
    t.is((await once(GET)).status, 504);
  }
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['WH_WARN_TIMEOUT_ANSWER_FAILED', 'WH_WARN_TIMEOUT_ANSWER_FAILED'],
  );
});

test('a client that goes away gets no answer of a policy', async (t) => {
  let answered = false;
  const policy = {
    timeout: 10_000,
    writeTimeoutResponse: () => {
      answered = true;
    },
  };
  let gone: (() => void) | undefined;
  const whenGone = new Promise<void>((resolve) => (gone = resolve));
  const { connect } = await startServer(
    t,
    withRequestTimeout(policy, async (context) => {
      await client.reset();
      await tooSlow(context);
      gone?.();
    }),
  );
  const client = await connect();
  void client.write(GET);
  await whenGone;
  t.false(answered);
});

const handler = (): undefined => undefined;
for (const [make, message] of [
  [
    () => requestTimeouts({ defaultPolicy: 0 }),
    /'requestTimeouts\.defaultPolicy' must be a number of milliseconds .*, not 0/,
  ],
  [
    () => requestTimeouts({ policies: { a: '1s' as never } }),
    /'requestTimeouts\.policies\.a' must be an object, not '1s'/,
  ],
  [
    () => requestTimeouts({ policies: { a: {} as never } }),
    /policies\.a\.timeout' .*, not undefined/,
  ],
  [
    () => requestTimeouts({ policies: { a: { timeout: 1, timeoutStatusCode: 99 } } }),
    /policies\.a\.timeoutStatusCode' .*, not 99/,
  ],
  [() => requestTimeouts({ timeout: 1 } as never), /no option 'requestTimeouts\.timeout'/],
  [() => withRequestTimeout(2 ** 31, handler), /withRequestTimeout' .*, not 2147483648/],
  [
    () => withRequestTimeout({ timeout: 1, writeTimeoutResponse: 1 as never }, handler),
    /writeTimeoutResponse' must be a function, not 1/,
  ],
] as const) {
  test(`a mistake: ${String(make).slice(6)}`, (t) => {
    t.throws(make, { code: 'WH_ERR_INVALID_OPTION', message });
  });
}

test('what is no handler is refused', (t) => {
  t.throws(() => withRequestTimeout(1, 1 as never), { code: 'WH_ERR_INVALID_ARGUMENT' });
});
