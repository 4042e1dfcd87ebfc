import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { Middleware, Next } from '../../lib/http/middleware.js';
import { compose } from '../../lib/hosting/pipeline.js';
import { coded } from '../support/errors.js';
import { startApplication } from '../support/memory-application.js';

const NO_CONTEXT = {} as HttpContext;

test('runs the steps in order, and unwinds them in reverse', async (t) => {
  const order: string[] = [];
  const step =
    (name: string): Middleware =>
    async (_context, next) => {
      order.push(`${name} in`);
      await next();
      order.push(`${name} out`);
    };
  await compose([step('a'), step('b')], () => void order.push('end'))(NO_CONTEXT);
  t.deepEqual(order, ['a in', 'b in', 'end', 'b out', 'a out']);
});

test('without steps it is the end itself', (t) => {
  const end = (): void => undefined;
  t.is(compose([], end), end);
});

test('steps that are not async make no promise', (t) => {
  const order: string[] = [];
  const step =
    (name: string): Middleware =>
    (_context, next) => {
      order.push(name);
      t.is(next(), undefined);
      order.push(`${name} out`);
    };
  t.is(compose([step('a'), step('b')], () => void order.push('end'))(NO_CONTEXT), undefined);
  t.deepEqual(order, ['a', 'b', 'end', 'b out', 'a out']);
});

test('a step that does not call next answers alone', (t) => {
  void compose([() => undefined], () => t.fail())(NO_CONTEXT);
  t.pass();
});

test('next() twice throws, whether or not what follows is async', async (t) => {
  const twice: Middleware = async (_context, next) => {
    await next();
    await next();
  };
  for (const end of [() => undefined, () => Promise.resolve()]) {
    let ends = 0;
    const run = compose([twice], () => {
      ends++;
      return end();
    });
    await t.throwsAsync(async () => run(NO_CONTEXT), coded('WH_ERR_NEXT_CALLED_TWICE'));
    t.is(ends, 1);
  }
});

test('next() twice in a request answers 500', async (t) => {
  const { request, reported } = await startApplication((app) => {
    app.use((_context, next) => {
      void next();
      return next();
    });
    app.get('/', () => undefined);
  });
  t.is((await request()).statusCode, 500);
  t.is((reported[0] as { code?: string }).code, 'WH_ERR_NEXT_CALLED_TWICE');
});

test('a step may be passed again by another request', async (t) => {
  let kept: Next | undefined;
  const run = compose([(_context, next) => ((kept = next), next())], () => undefined);
  void run(NO_CONTEXT);
  void run(NO_CONTEXT);
  t.throws(() => kept?.(), coded('WH_ERR_NEXT_CALLED_TWICE'));
});

test('the request lasts as long as what follows, even if a step forgets to return it', async (t) => {
  const { request } = await startApplication((app) => {
    app.use((_context, next) => {
      void next();
    });
    app.get('/', async ({ response }) => {
      await new Promise(setImmediate);
      void response.text('done');
    });
  });
  t.is((await request()).text, 'done');
});

test('a failure behind a step that forgot to return next() still answers 500', async (t) => {
  const { request } = await startApplication((app) => {
    app.use((_context, next) => {
      void next();
    });
    app.get('/', async () => {
      await new Promise(setImmediate);
      throw new Error('late');
    });
  });
  t.is((await request()).statusCode, 500);
});

test('a step can catch what fails behind it', async (t) => {
  const { request, reported } = await startApplication((app) => {
    app.use(async ({ response }, next) => {
      try {
        await next();
      } catch (error) {
        response.statusCode = 418;
        void response.text((error as Error).message);
      }
    });
    app.get('/sync', () => {
      throw new Error('sync');
    });
    app.get('/async', () => Promise.reject(new Error('async')));
  });
  for (const name of ['sync', 'async']) {
    t.like(await request(`/${name}`), { statusCode: 418, text: name });
  }
  t.deepEqual(reported, []);
});

test('sync stays sync through steps, branches and routes', async (t) => {
  const { request } = await startApplication((app) => {
    app.use((_context, next) => next());
    app.map('/branch', (branch) => {
      branch.use((_context, next) => {
        void next();
      });
      branch.get('/:id', ({ request, response }) => response.json(request.routeValues));
    });
    app.get('/:id', ({ request, response }) => response.text(request.routeValues['id'] ?? ''));
  });
  t.like(await request('/a'), { text: 'a', sync: true });
  t.like(await request('/branch/b'), { text: '{"id":"b"}', sync: true });
  t.like(await request('/none/such'), { statusCode: 404, sync: true });
});
