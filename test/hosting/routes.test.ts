import test from 'ava';
import { RouteValuesFeature } from '../../lib/features/http-features.js';
import type { PipelineBuilder } from '../../lib/hosting/pipeline-builder.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import type { RequestDelegate } from '../../lib/server/server.js';
import { coded } from '../support/errors.js';
import { startApplication } from '../support/memory-application.js';

/** Answers with a name and the route values. */
function tell(name: string): RequestDelegate {
  return ({ request, response }) =>
    response.text([name, ...Object.entries(request.routeValues).flat()].join(' '));
}

test('each method has its routes', async (t) => {
  const methods = ['get', 'post', 'put', 'delete', 'patch', 'options'] as const;
  const { request } = await startApplication((app) => {
    for (const method of methods) app[method]('/x', tell(method));
    app.route(['LINK', 'QUERY'], '/x', tell('several'));
  });
  for (const method of methods) {
    t.is((await request({ method: method.toUpperCase(), target: '/x' })).text, method);
  }
  t.is((await request({ method: 'LINK', target: '/x' })).text, 'several');
  t.is((await request({ method: 'QUERY', target: '/x' })).text, 'several');
});

test('takes parameters, patterns, optional parts and wildcards from the path', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/', tell('root'));
    app.get('/users/:id', tell('user'));
    app.get('/users/:id/posts/:post', tell('post'));
    app.get('/users/new', tell('new'));
    app.get('/number/:n(^\\d+$)', tell('number'));
    app.get('/maybe/:x?', tell('maybe'));
    app.get('/files/*', tell('files'));
    app.get('/both/:id', tell('both'));
    app.get('/both/*', tell('both'));
  });
  const cases: [string, string][] = [
    ['/', 'root'],
    ['/?q', 'root'],
    ['/users/7', 'user id 7'],
    ['/users/new', 'new'],
    ['/users/new/posts/2', 'post id new post 2'],
    ['/number/12', 'number n 12'],
    ['/maybe', 'maybe'],
    ['/maybe/y', 'maybe x y'],
    ['/files/a/b.txt', 'files * a/b.txt'],
    ['/files/a/', 'files * a/'],
    ['/files//a', 'files * /a'],
    ['/both/a/', 'both id a'],
    ['/both/a/b/', 'both * a/b/'],
    ['/files/', 'files * '],
  ];
  for (const [target, text] of cases) t.is((await request(target)).text, text, target);
  for (const target of [
    '/users',
    '/users/',
    '/users//posts/1',
    '/files',
    '/number/x',
    '/Users/7',
    '/users/7/posts',
    '/none',
  ]) {
    t.is((await request(target)).statusCode, 404, target);
  }
});

test('a slash at the end does not count', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/fixed', tell('fixed'));
    app.get('/slashed/', tell('slashed'));
    app.get('/with/:id', tell('with'));
  });
  t.is((await request('/fixed/')).text, 'fixed');
  t.is((await request('/slashed')).text, 'slashed');
  t.is((await request('/slashed/')).text, 'slashed');
  t.is((await request('/with/a/')).text, 'with id a');
  t.is((await request('/fixed//')).statusCode, 404);
});

test('route values are decoded once', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/v/:value', ({ request, response }) => response.json(request.routeValues['value']));
    app.get('/w/*', ({ request, response }) => response.json(request.routeValues['*']));
    app.get('/100%', tell('percent'));
  });
  const cases: [string, string][] = [
    ['%C3%A9', 'é'],
    ['a%20b', 'a b'],
    ['100%25', '100%'],
    ['%2541', '%41'],
    ['%3Fq%23h', '?q#h'],
    ['a;b=c&d+e', 'a;b=c&d+e'],
    ['a%2Fb', 'a%2Fb'],
    ['%25zz', '%zz'],
    ['%F0%9F%A6%85', '\u{1f985}'],
  ];
  for (const [raw, value] of cases) {
    t.is((await request(`/v/${raw}`)).text, JSON.stringify(value), raw);
    t.is((await request(`/w/${raw}`)).text, JSON.stringify(value), raw);
  }
  t.is((await request('/100%25')).text, 'percent');
});

test('a parameter may be long', async (t) => {
  const { request } = await startApplication((app) => app.get('/:value', tell('v')));
  const long = 'a'.repeat(7_000);
  t.is((await request(`/${long}`)).text, `v value ${long}`);
});

test('no name in a path means anything but itself', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/:__proto__', ({ request, response }) =>
      response.json(Object.keys(request.routeValues)),
    );
    app.get('/x/:id', ({ request, response }) =>
      response.json({ has: 'toString' in request.routeValues }),
    );
  });
  t.is((await request('/x/1')).text, '{"has":false}');
  t.is((await request('/constructor')).statusCode, 200);
  t.is((await request({ method: 'constructor', target: '/x/1' })).statusCode, 405);
  t.is((await request({ method: '__proto__', target: '/x/1' })).statusCode, 405);
});

test('the matched values are a feature, too', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/:id', ({ features, response }) =>
      response.json(features.get(RouteValuesFeature)?.routeValues),
    );
  });
  t.is((await request('/7')).text, '{"id":"7"}');
});

test('a path of another method answers 405 and says which ones it has', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/x/:id', tell('get'));
    app.post('/x/:id', tell('post'));
    app.put('/other', tell('put'));
  });
  const response = await request({ method: 'DELETE', target: '/x/1' });
  t.is(response.statusCode, 405);
  t.is(response.headers.get('Allow'), 'GET, POST, HEAD');
  t.is(response.text, '');
  t.is((await request({ method: 'PUT', target: '/none' })).statusCode, 404);
  t.is((await request({ method: 'GET', target: '/other' })).headers.get('Allow'), 'PUT');
});

test('HEAD is answered by GET’s route, unless it has its own', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/both', tell('get'));
    app.get('/get/:id', tell('get'));
    app.head('/both', ({ response }) => response.headers.set('X', 'head'));
    app.post('/post', tell('post'));
  });
  t.is((await request({ method: 'HEAD', target: '/both' })).headers.get('X'), 'head');
  t.is((await request({ method: 'HEAD', target: '/get/1' })).statusCode, 200);
  t.is((await request({ method: 'HEAD', target: '/post' })).statusCode, 405);
});

test('a route for all methods yields to one for the method', async (t) => {
  const { request } = await startApplication((app) => {
    app.all('/x', tell('all'));
    app.get('/x', tell('get'));
    app.all('/any/:id', tell('all'));
    app.get('/any/fixed', tell('fixed'));
    app.get('/wild/*', tell('wild'));
    app.all('/wild/:id', tell('all'));
    app.head('/unrelated', tell('head'));
    app.all('/maybe/:id?', tell('maybe'));
    app.get('/maybe/:id', tell('get'));
  });
  const ask = async (method: string, target: string): Promise<string> =>
    (await request({ method, target })).text;
  t.is(await ask('GET', '/x'), 'get');
  t.is(await ask('POST', '/x'), 'all');
  t.is(await ask('WHATEVER', '/x'), 'all');
  t.is(await ask('HEAD', '/x'), 'get');
  t.is(await ask('GET', '/any/fixed'), 'fixed');
  t.is(await ask('GET', '/any/7'), 'all id 7');
  t.is(await ask('POST', '/any/fixed'), 'all id fixed');
  t.is(await ask('GET', '/wild/7'), 'all id 7');
  t.is(await ask('GET', '/wild/7/8'), 'wild * 7/8');
  t.is(await ask('GET', '/maybe/1'), 'get id 1');
  t.is(await ask('GET', '/maybe'), 'maybe');
});

test('the fallback answers what no route matches', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/x', tell('x'));
    app.fallback(({ request, response }) => response.text(`lost ${request.path}`));
  });
  t.is((await request('/x')).text, 'x');
  t.like(await request('/y'), { statusCode: 200, text: 'lost /y' });
  t.is((await request({ method: 'POST', target: '/x' })).text, 'lost /x');
});

test('without routes the fallback answers everything, and nothing answers 404', async (t) => {
  const { request } = await startApplication((app) => app.fallback(tell('all')));
  t.is((await request({ method: 'OPTIONS', target: '*' })).text, 'all');
  const empty = await startApplication(() => undefined);
  t.like(await empty.request('/'), { statusCode: 404, text: '', sync: true });
});

test('nobody answers 404 over an answer that has started', async (t) => {
  const { request } = await startApplication((app) => {
    app.use(({ response }, next) => {
      void response.text('done');
      return next();
    });
    app.get('/x', () => undefined);
  });
  t.like(await request('/none'), { statusCode: 200, text: 'done' });
});

test('OPTIONS * matches no route', async (t) => {
  const { request } = await startApplication((app) => app.options('/', tell('root')));
  t.is((await request({ method: 'OPTIONS', target: '*' })).statusCode, 404);
  t.is((await request({ method: 'OPTIONS', target: '/' })).text, 'root');
});

test('routes match the path that middleware left', async (t) => {
  const { request } = await startApplication((app) => {
    app.use(({ request }, next) => {
      request.path = '/new';
      request.method = 'POST';
      return next();
    });
    app.post('/new', tell('new'));
  });
  t.is((await request('/old')).text, 'new');
});

test('middleware runs before routes, wherever it was added', async (t) => {
  const { request } = await startApplication((app) => {
    app.get('/', ({ response }) => response.text('a'));
    app.use(({ response }, next) => {
      response.headers.set('X', '1');
      return next();
    });
  });
  t.is((await request('/')).headers.get('X'), '1');
});

test('a matched handler that sets nothing answers 200 without a body', async (t) => {
  const { request } = await startApplication((app) => app.get('/', () => undefined));
  t.like(await request('/'), { statusCode: 200, text: '', complete: true });
});

test('refuses routes that make no sense, at once', (t) => {
  const app = WebApplication.createBuilder().build();
  const handler = (): void => undefined;
  app.get('/x/:id', handler);
  for (const pattern of ['', 'x', '/x/:other', '/a/*/b', '/:a(', '/:n((a+)+)', '/:a?/b']) {
    t.throws(() => app.get(pattern, handler), coded('WH_ERR_INVALID_ROUTE', TypeError), pattern);
  }
  t.throws(() => app.get(1 as never, handler), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => app.get('/y', undefined as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => app.route('B D', '/y', handler), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => app.route(1 as never, '/y', handler), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => app.route([1 as never], '/y', handler), coded('WH_ERR_INVALID_ARGUMENT'));
  t.throws(() => app.fallback(1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => app.use(1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
});

test('a branch sees the rest of the path; afterwards it is as before', async (t) => {
  const seen: string[] = [];
  const look = (where: string, { request }: Parameters<RequestDelegate>[0]): void =>
    void seen.push(`${where} ${request.pathBase}|${request.path}`);
  const { request } = await startApplication((app) => {
    app.use(async (context, next) => {
      look('before', context);
      try {
        await next();
      } finally {
        look('after', context);
      }
    });
    app.map('/api', (api) => {
      api.map('/v1', (v1) => {
        v1.get('/sync/:id', (context) => look('in', context));
        v1.get('/async', async (context) => {
          await new Promise(setImmediate);
          look('in', context);
        });
        v1.get('/throws', () => {
          throw new Error('x');
        });
        v1.get('/rejects', () => Promise.reject(new Error('x')));
      });
    });
  });
  for (const name of ['sync/7', 'async', 'throws', 'rejects']) {
    seen.length = 0;
    await request(`/api/v1/${name}`);
    t.deepEqual(
      seen.filter((line) => !line.startsWith('in')),
      [`before |/api/v1/${name}`, `after |/api/v1/${name}`],
    );
    if (name === 'sync/7' || name === 'async') t.is(seen[1], `in /api/v1|/${name}`);
  }
});

test('a branch is entered by whole segments only', async (t) => {
  const { request } = await startApplication((app) => {
    app.map('/api', (api) => {
      api.get('/', ({ request, response }) => response.text(`api "${request.path}"`));
      api.get('/x', tell('x'));
    });
    app.get('/apix', tell('apix'));
    app.get('/api/x', tell('never'));
    app.get('/API/x', tell('upper'));
  });
  t.is((await request('/api')).text, 'api ""');
  t.is((await request('/api/')).text, 'api "/"');
  t.is((await request('/api/x')).text, 'x');
  t.is((await request('/apix')).text, 'apix');
  t.is((await request('/API/x')).text, 'upper');
});

test('what a branch does not answer is 404, 405, or its own fallback’s', async (t) => {
  const { request } = await startApplication((app) => {
    app.map('/plain', (branch) => branch.get('/x', tell('x')));
    app.map('/caught', (branch) => branch.fallback(tell('caught')));
    app.fallback(tell('outer'));
  });
  t.is((await request('/plain/y')).statusCode, 404);
  const response = await request({ method: 'PUT', target: '/plain/x' });
  t.is(response.statusCode, 405);
  t.is(response.headers.get('Allow'), 'GET, HEAD');
  t.is((await request('/caught/y')).text, 'caught');
  t.is((await request('/y')).text, 'outer');
});

test('middleware of a branch runs in the branch only', async (t) => {
  const { request } = await startApplication((app) => {
    app.map('/a', (branch) => {
      branch.use(({ response }, next) => {
        response.headers.set('X', 'a');
        return next();
      });
      branch.get('/', tell('a'));
    });
    app.get('/b', tell('b'));
  });
  t.is((await request('/a')).headers.get('X'), 'a');
  t.is((await request('/b')).headers.get('X'), undefined);
});

test('refuses branches that make no sense', (t) => {
  const app = WebApplication.createBuilder().build();
  const nothing = (): void => undefined;
  for (const prefix of ['', '/', 'a', '/a/']) {
    t.throws(() => app.map(prefix, nothing), coded('WH_ERR_INVALID_PATH', TypeError), prefix);
  }
  t.throws(() => app.map(1 as never, nothing), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => app.map('/a', undefined as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
});

test('nothing can be added after the start, in branches neither', async (t) => {
  let branch: PipelineBuilder | undefined;
  const { app } = await startApplication((app) => {
    app.map('/b', (inner) => {
      branch = inner;
    });
  });
  const handler = (): void => undefined;
  for (const builder of [app, branch as PipelineBuilder]) {
    t.throws(() => builder.use(handler), coded('WH_ERR_APPLICATION_STARTED'));
    t.throws(() => builder.map('/x', handler), coded('WH_ERR_APPLICATION_STARTED'));
    t.throws(() => builder.get('/x', handler), coded('WH_ERR_APPLICATION_STARTED'));
    t.throws(() => builder.all('/x', handler), coded('WH_ERR_APPLICATION_STARTED'));
    t.throws(() => builder.fallback(handler), coded('WH_ERR_APPLICATION_STARTED'));
  }
});
