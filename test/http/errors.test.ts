import test from 'ava';
import { HttpRequestLifetimeFeature } from '../../lib/features/http-features.js';
import { developerPage } from '../../lib/http/developer-page.js';
import {
  BadHttpRequestError,
  WindhoverError,
  isBadHttpRequestError,
} from '../../lib/http/errors.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { ApplicationOptions, RequestDelegate } from '../../lib/server/server.js';
import { createApplication } from '../../lib/server/server.js';
import { coded } from '../support/errors.js';
import type { MemoryRequest, MemoryResponse } from '../support/memory-server.js';
import { startMemoryServer } from '../support/memory-server.js';

/** The answer of a handler that fails, and what was reported of it. */
async function failing(
  delegate: RequestDelegate,
  request: MemoryRequest = {},
  options: ApplicationOptions = {},
): Promise<{ response: MemoryResponse; reported: unknown[] }> {
  const reported: unknown[] = [];
  const server = await startMemoryServer(
    createApplication(delegate, { onError: (error) => reported.push(error), ...options }),
  );
  return { response: await server.request(request), reported };
}

const SECRET = 'the secret of the kestrel';

test('a handler that throws or rejects answers 500 and tells no stranger why', async (t) => {
  const handlers: RequestDelegate[] = [
    () => {
      throw new Error(SECRET);
    },
    () => Promise.reject(new Error(SECRET)),
    async () => {
      await Promise.resolve();
      throw new Error(SECRET);
    },
  ];
  for (const handler of handlers) {
    const { response, reported } = await failing(handler);
    t.like(response, { statusCode: 500, text: '500 Internal Server Error\n', complete: true });
    t.is(response.headers.get('content-type'), 'text/plain; charset=utf-8');
    t.is(response.headers.get('cache-control'), 'no-store');
    t.is(response.error, undefined);
    t.is((reported[0] as Error).message, SECRET);
    t.is(reported.length, 1);
  }
});

test('what was set before the failure does not go out', async (t) => {
  const { response } = await failing(({ response }) => {
    response.statusCode = 201;
    response.reasonPhrase = 'Fine';
    response.headers.append('Set-Cookie', 'a=1');
    response.headers.append('Set-Cookie', 'b=2');
    response.contentLength = 9;
    throw new Error('x');
  });
  t.is(response.statusCode, 500);
  t.is(response.reasonPhrase, undefined);
  t.false(response.headers.has('Set-Cookie'));
  t.is(response.headers.get('Content-Length'), String(response.text.length));
});

test('what is thrown need not be an Error', async (t) => {
  const hostile = {
    get message(): string {
      throw new Error('no');
    },
    toString: null,
  };
  for (const thrown of [
    undefined,
    null,
    'text',
    42,
    {},
    Symbol('x'),
    hostile,
    Object.create(null),
  ]) {
    for (const development of [false, true]) {
      const handler: RequestDelegate = () => {
        throw thrown;
      };
      const { response, reported } = await failing(handler, {}, { development });
      t.is(response.statusCode, 500);
      t.true(response.complete);
      t.deepEqual(reported, [thrown]);
    }
  }
});

test('a bad request answers its own status and is not reported', async (t) => {
  const { response, reported } = await failing(() => {
    throw new BadHttpRequestError(413, SECRET);
  });
  t.is(response.statusCode, 413);
  t.is(response.text, '413 Payload Too Large\n');
  t.deepEqual(reported, []);
});

test('a body that is no JSON answers 400', async (t) => {
  const { response } = await failing(
    async ({ request, response }) => response.json(await request.body.json()),
    { body: ['{"a":'] },
  );
  t.is(response.statusCode, 400);
});

test('BadHttpRequestError has a code and a status of 400 to 499', (t) => {
  const error = new BadHttpRequestError(431, 'too many');
  t.like(error, { code: 'WH_ERR_BAD_REQUEST', statusCode: 431, name: 'BadHttpRequestError' });
  t.true(error instanceof WindhoverError);
  for (const status of [200, 399, 500, NaN, '413']) {
    t.is(new BadHttpRequestError(status as number, 'x').statusCode, 400);
  }
});

test('a bad request is known across copies of the package', (t) => {
  const foreign = Object.assign(new Error('x'), { name: 'BadHttpRequestError', statusCode: 413 });
  t.true(isBadHttpRequestError(foreign));
  t.false(isBadHttpRequestError(Object.assign(foreign, { statusCode: 500 })));
  t.false(isBadHttpRequestError(new Error('x')));
  t.false(isBadHttpRequestError({ name: 'BadHttpRequestError', statusCode: 413 }));
});

test('an answer that has started is cut off', async (t) => {
  let aborts = 0;
  const { response, reported } = await failing(
    async ({ response }) => {
      await response.write('part');
      throw new Error('x');
    },
    {
      arrange: (features) => {
        features.set(HttpRequestLifetimeFeature, {
          requestAborted: new AbortController().signal,
          abort: () => void aborts++,
        });
      },
    },
  );
  t.is(aborts, 1);
  t.is(response.text, 'part');
  t.is(reported.length, 1);
});

test('where the server cannot cut off, it is handed the error', async (t) => {
  const error = new Error('x');
  const { response } = await failing(async ({ response }) => {
    await response.write('part');
    throw error;
  });
  t.is(response.error, error);
  t.false(response.complete);
});

test('an answer that was complete before the failure goes out', async (t) => {
  let aborts = 0;
  const { response, reported } = await failing(
    ({ response }) => {
      void response.text('whole');
      throw new Error('x');
    },
    {
      arrange: (features) => {
        features.set(HttpRequestLifetimeFeature, {
          requestAborted: new AbortController().signal,
          abort: () => void aborts++,
        });
      },
    },
  );
  t.is(aborts, 0);
  t.like(response, { statusCode: 200, text: 'whole', complete: true, error: undefined });
  t.is(reported.length, 1);
});

test('a failure because the client has gone is not reported', async (t) => {
  const { reported } = await failing(
    () => {
      throw new Error('gone');
    },
    {
      arrange: (features) => {
        features.set(HttpRequestLifetimeFeature, {
          requestAborted: AbortSignal.abort(),
          abort: () => undefined,
        });
      },
    },
  );
  t.deepEqual(reported, []);
});

test('a listener that fails costs no answer', async (t) => {
  const { response } = await failing(
    () => {
      throw new Error('x');
    },
    {},
    {
      onError: () => {
        throw new Error('listener');
      },
    },
  );
  t.is(response.statusCode, 500);
});

test('onStarting that throws answers 500', async (t) => {
  const { response, reported } = await failing(({ response }) => {
    response.onStarting(() => {
      throw new Error('starting');
    });
    void response.text('never');
  });
  t.is(response.statusCode, 500);
  t.is(response.text, '500 Internal Server Error\n');
  t.is((reported[0] as Error).message, 'starting');
});

test('in development a browser gets a page with all the details, escaped', async (t) => {
  const evil = '<script>alert("x")</script>';
  const { response } = await failing(
    () => {
      throw new TypeError(`broke on ${evil}`, { cause: new Error(`because of ${evil}`) });
    },
    {
      target: '/a%3Cb%3E?q=%3Cimg%3E',
      headers: { Accept: 'text/html,*/*', 'X-Evil': evil },
    },
    { development: true },
  );
  t.is(response.statusCode, 500);
  t.is(response.headers.get('content-type'), 'text/html; charset=utf-8');
  t.regex(response.text, /TypeError: broke on &#60;script/);
  t.regex(response.text, /Caused by/);
  t.regex(response.text, /errors\.test\./);
  t.regex(response.text, /X-Evil/);
  t.notRegex(response.text, /<script|<img|\/a<b>/);
});

test('in development others get plain text', async (t) => {
  const { response } = await failing(
    () => {
      throw Object.assign(new Error('broke'), { code: 'E_MINE', cause: 'a string' });
    },
    { headers: { Accept: '*/*' }, target: '/x?y' },
    { development: true },
  );
  t.is(response.headers.get('content-type'), 'text/plain; charset=utf-8');
  t.regex(response.text, /Error: broke \[E_MINE\]\n +at /);
  t.regex(response.text, /Caused by: Not an Error, but 'a string'/);
  t.regex(response.text, /Target: \/x\?y/);
});

test('in development a bad request says what is wrong', async (t) => {
  const { response } = await failing(
    () => {
      throw new BadHttpRequestError(400, 'no name given');
    },
    {},
    { development: true },
  );
  t.is(response.statusCode, 400);
  t.regex(response.text, /no name given/);
});

test('the page survives causes that go in a circle', async (t) => {
  const first = new Error('first');
  const second = new Error('second', { cause: first });
  first.cause = second;
  let page = '';
  await failing(
    (context) => {
      page = developerPage(context, first, 500);
    },
    {},
    { development: true },
  );
  t.true(page.length > 0 && page.length < 100_000);
});

test('an application is made of functions', (t) => {
  t.throws(() => createApplication(1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(
    () => createApplication(() => undefined, { onError: 1 as never }),
    coded('WH_ERR_INVALID_ARGUMENT', TypeError),
  );
});

test('what a handler returns that is no promise says nothing', async (t) => {
  for (const value of [1, 'x', {}, null, { then: 1 }]) {
    const { response } = await failing((() => value) as unknown as RequestDelegate);
    t.like(response, { statusCode: 200, sync: true });
  }
});

test('a handler may return anything that can be awaited', async (t) => {
  const { response } = await failing((({ response }: HttpContext) => ({
    then(resolve: () => void) {
      void response.text('later');
      resolve();
    },
  })) as unknown as RequestDelegate);
  t.is(response.text, 'later');
});
