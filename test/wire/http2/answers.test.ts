/** What an application's answers become in HTTP/2, and what a request looks like to it. */
import { overBoth } from '../../support/h2/server.js';
import { data, headers } from '../../support/h2/frames.js';
import type { Field } from '../../support/h2/hpack.js';
import { block } from '../../support/h2/hpack.js';
import { alive } from '../../support/h2/verdicts.js';
import { captureErrors } from '../../support/quiet-console.js';
import { deferred } from '../../support/until.js';

captureErrors();

overBoth(
  'an application sees a request as it sees one of HTTP/1.1',
  async (t, start, transport) => {
    const { open, port } = await start(({ request, response }) =>
      response.json({
        protocol: request.protocol,
        scheme: request.scheme,
        method: request.method,
        host: request.host,
        hostField: request.headers.get('Host'),
        path: request.path,
        queryString: request.queryString,
        rawTarget: request.rawTarget,
        accept: request.headers.get('Accept'),
        names: [...request.headers].map(([name]) => name.toLowerCase()).sort(),
        contentLength: request.contentLength,
        hasBody: request.hasBody,
      }),
    );
    const client = await open();
    const fields = client.get('/a%20b/c?d=e&f', [
      ['accept', 'text/plain'],
      ['x-own', 'value'],
    ]);
    const { status, headers: answer, text } = await client.fetch(fields);
    t.is(status, 200);
    t.deepEqual(JSON.parse(text), {
      protocol: 'HTTP/2',
      scheme: transport === 'TLS' ? 'https' : 'http',
      method: 'GET',
      host: `localhost:${String(port)}`,
      hostField: `localhost:${String(port)}`,
      path: '/a b/c',
      queryString: '?d=e&f',
      rawTarget: '/a%20b/c?d=e&f',
      accept: 'text/plain',
      names: ['accept', 'host', 'x-own'],
      hasBody: false,
    });
    t.deepEqual(answer.get('content-type'), ['application/json; charset=utf-8']);
    t.deepEqual(answer.get('content-length'), [String(text.length)]);
    t.is(answer.get('date')?.length, 1);
    t.is(answer.get('server')?.length, 1);
  },
);

overBoth(':authority is the host, whatever Host says; without it Host is', async (t, start) => {
  const { open } = await start(({ request, response }) =>
    response.json([request.host, request.headers.getAll('Host')]),
  );
  const client = await open();
  const start3 = client.get().slice(0, 3);
  const hosts = async (...fields: readonly Field[]): Promise<unknown> => {
    const { text } = await client.fetch([...start3, ...fields]);
    return JSON.parse(text) as unknown;
  };
  t.deepEqual(await hosts([':authority', 'a.test']), ['a.test', ['a.test']]);
  t.deepEqual(await hosts(['host', 'b.test']), ['b.test', ['b.test']]);
  t.deepEqual(await hosts([':authority', 'a.test:8080'], ['host', 'a.test:8080']), [
    'a.test:8080',
    ['a.test:8080'],
  ]);
});

overBoth('crumbs of cookies are one field, joined with "; "', async (t, start) => {
  const { open } = await start(({ request, response }) =>
    response.json([request.headers.getAll('Cookie'), request.cookies.b]),
  );
  const client = await open();
  const crumbs: Field[] = [
    ['cookie', 'a=1'],
    ['x-between', 'yes'],
    ['cookie', 'b=2'],
    ['cookie', 'c=3; d=4'],
  ];
  const { text } = await client.fetch(client.get('/', crumbs));
  t.deepEqual(JSON.parse(text), [['a=1; b=2; c=3; d=4'], '2']);
});

overBoth('HEAD, 204 and 304 have no DATA, and end with their head', async (t, start) => {
  const { open } = await start(({ request, response }) => {
    if (request.path === '/204') response.statusCode = 204;
    else if (request.path === '/304') response.statusCode = 304;
    else return response.text('hello');
  });
  const client = await open();
  for (const [method, path, status, length] of [
    ['HEAD', '/', '200', '5'],
    ['GET', '/204', '204', undefined],
    ['GET', '/304', '304', undefined],
    ['HEAD', '/204', '204', undefined],
  ] as const) {
    const id = client.request(client.fields(method, path));
    const head = await client.takeHeaders(id);
    const field = (name: string): string | undefined =>
      head.fields.find((one) => one.name === name)?.value;
    t.true(head.endStream, `${method} ${path}`);
    t.is(field(':status'), status);
    t.is(field('content-length'), length);
  }
  await alive(client);
  t.false(client.has((frame) => frame.type === 'DATA'));
});

overBoth('an answer of nothing ends with its head, or with an empty DATA', async (t, start) => {
  const { open } = await start(async ({ request, response }) => {
    if (request.path === '/end') await response.end();
  });
  const client = await open();
  for (const path of ['/', '/end']) {
    const { status, body, headers: answer, reset } = await client.fetch(client.get(path));
    t.is(status, 200);
    t.is(body.length, 0);
    t.is(reset, undefined);
    t.deepEqual(answer.get('content-length') ?? ['0'], ['0']);
  }
});

overBoth(
  'an answer in pieces has no length, and its pieces leave when written',
  async (t, start) => {
    const gate = deferred();
    const { open } = await start(async ({ response }) => {
      await response.write('one');
      await gate.promise;
      await response.write('two');
      await response.end();
    });
    const client = await open();
    const id = client.request(client.get());
    const head = await client.takeHeaders(id);
    t.false(head.fields.some(({ name }) => /content-length|transfer-encoding/.test(name)));
    t.is((await client.takeData(id)).data.toString(), 'one');
    gate.resolve();
    let rest = '';
    for (;;) {
      const piece = await client.takeData(id);
      rest += piece.data.toString();
      if (piece.endStream) break;
    }
    t.is(rest, 'two');
  },
);

overBoth('fields of a connection are not in an answer', async (t, start) => {
  const { open } = await start(({ response }) => {
    response.headers.set('Connection', 'close, X-Hop');
    response.headers.set('X-Own', 'stays');
    return response.text('hello');
  });
  const client = await open();
  const { status, headers: answer, text } = await client.fetch(client.get());
  t.is(status, 200);
  t.is(text, 'hello');
  t.false(answer.has('connection'));
  t.deepEqual(answer.get('x-own'), ['stays']);
  await alive(client);
});

overBoth('names of fields are in lower case, repeated fields stay apart', async (t, start) => {
  const { open } = await start(({ response }) => {
    response.headers.set('X-Mixed-Case', 'Value');
    response.headers.append('Set-Cookie', 'a=1');
    response.headers.append('Set-Cookie', 'b=2');
    return response.text('hello');
  });
  const client = await open();
  const { headers: answer } = await client.fetch(client.get());
  t.deepEqual(answer.get('x-mixed-case'), ['Value']);
  t.deepEqual(answer.get('set-cookie'), ['a=1', 'b=2']);
});

overBoth('a head larger than a frame goes on in CONTINUATION', async (t, start) => {
  const { open } = await start(({ response }) => {
    for (let i = 0; i < 5; i++) response.headers.set(`X-Large-${String(i)}`, 'y'.repeat(8000));
    return response.text('hello');
  });
  const client = await open();
  const id = client.request(client.get());
  const head = await client.takeHeaders(id);
  t.true(head.frames > 1);
  t.is(head.fields.filter(({ value }) => value === 'y'.repeat(8000)).length, 5);
  t.is((await client.takeData(id)).data.toString(), 'hello');
});

overBoth(
  'a second answer like the first has a smaller head; secrets are never indexed',
  async (t, start) => {
    const { open } = await start(({ response }) => {
      response.headers.set('X-Always', 'the same value each time');
      response.headers.set('Set-Cookie', 'session=secret');
      return response.text('hello');
    });
    const client = await open();
    const representations = async (): Promise<Map<string, string>> => {
      const { fields } = await client.fetch(client.get());
      return new Map(fields.map(({ name, representation }) => [name, representation]));
    };
    const first = await representations();
    t.is(first.get(':status'), 'indexed');
    t.is(first.get('set-cookie'), 'never');
    const second = await representations();
    t.is(second.get('server'), 'indexed');
    t.is(second.get('content-type'), 'indexed');
    t.is(second.get('set-cookie'), 'never');
  },
);

overBoth('trailers of a request are there once its body is read', async (t, start) => {
  const { open } = await start(async ({ request, response }) => {
    const text = await request.body.text();
    await response.json([text, [...request.trailers], request.trailers.get('X-Sum')]);
  });
  const client = await open();
  for (const parts of [['one', 'two'], ['']]) {
    const id = client.request(client.post('/', [['trailer', 'x-sum']]), { endStream: false });
    client.send(...parts.map((part) => data(id, part)));
    client.send(headers(id, block([['x-sum', '42']]), { endStream: true }));
    const { text } = await client.response(id);
    const [body, , sum] = JSON.parse(text) as unknown[];
    t.is(body, parts.join(''));
    t.is(sum, '42');
  }
});

overBoth('trailers of an answer come in HEADERS with END_STREAM', async (t, start) => {
  const { open } = await start(async ({ request, response }) => {
    response.trailers.set('X-Sum', '1');
    if (request.path === '/text') return response.text('hello');
    if (request.path === '/nothing') return;
    await response.write('hel');
    response.trailers.set('grpc-status', '0');
    await response.write('lo');
    await response.end();
  });
  const client = await open();
  const te: Field[] = [['te', 'trailers']];
  const written = await client.fetch(client.get('/write', te));
  t.is(written.text, 'hello');
  t.deepEqual([...(written.trailers ?? [])].sort(), [
    ['grpc-status', ['0']],
    ['x-sum', ['1']],
  ]);
  for (const path of ['/text', '/nothing']) {
    const { status, trailers } = await client.fetch(client.get(path, te));
    t.is(status, 200);
    t.deepEqual([...(trailers ?? [])], [['x-sum', ['1']]], path);
  }
});

overBoth('a client that waits for 100 gets it when the body is read', async (t, start) => {
  const { open } = await start(async ({ request, response }) => {
    if (request.path === '/refuse') {
      response.statusCode = 403;
      return response.text('no');
    }
    await response.text(await request.body.text());
  });
  const client = await open();
  const expect: Field[] = [['expect', '100-continue']];
  const id = client.request(client.post('/', expect), { endStream: false });
  const interim = await client.takeHeaders(id);
  t.deepEqual(
    interim.fields.map(({ name, value }) => [name, value]),
    [[':status', '100']],
  );
  t.false(interim.endStream);
  client.send(data(id, 'body', { endStream: true }));
  const answer = await client.response(id);
  t.is(answer.text, 'body');
  t.is(answer.interim.length, 0);
  const refused = await client.response(
    client.request(client.post('/refuse', expect), { endStream: false }),
  );
  t.is(refused.status, 403);
  t.is(refused.interim.length, 0);
  await alive(client);
});

overBoth('interim answers come before the answer', async (t, start) => {
  const { open } = await start(async ({ response }) => {
    await response.writeInformational(103, { Link: ['</a>; rel=preload', '</b>'] });
    await response.writeInformational(102);
    await response.text('hello');
  });
  const client = await open();
  const { interim, text, headers: answer } = await client.fetch(client.get());
  t.is(text, 'hello');
  t.false(answer.has('link'));
  t.deepEqual(
    interim.map(({ fields }) => fields.map(({ name, value }) => `${name}: ${value}`)),
    [[':status: 103', 'link: </a>; rel=preload', 'link: </b>'], [':status: 102']],
  );
  t.false(interim.some(({ endStream }) => endStream));
});

overBoth(
  'a handler that fails is answered 500, one that has begun is cut off',
  async (t, start) => {
    const { open, reported } = await start(async ({ request, response }) => {
      if (request.path === '/begun') await response.write('some');
      throw new Error('the handler fails');
    });
    const client = await open();
    t.is((await client.fetch(client.get())).status, 500);
    const begun = await client.fetch(client.get('/begun'));
    t.is(begun.reset, 'INTERNAL_ERROR');
    await alive(client);
    t.is(reported.length, 2);
  },
);

overBoth('an answer shorter than its content-length is cut off', async (t, start) => {
  const { open } = await start(async ({ response }) => {
    response.contentLength = 10;
    await response.write('short');
    await response.end();
  });
  const client = await open();
  const { reset } = await client.fetch(client.get());
  t.is(reset, 'INTERNAL_ERROR');
  await alive(client);
});
