import test from 'ava';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('a connection carries one request after the other', async (t) => {
  const { connect, metrics } = await startServer(t, (context) =>
    context.response.text(context.request.path),
  );
  const client = await connect();
  for (let i = 0; i < 100; i++) {
    const answer = await client.request(`GET /${String(i)} HTTP/1.1\r\nHost: h\r\n\r\n`);
    t.is(answer.text, `/${String(i)}`);
    t.false(answer.headers.has('connection'));
  }
  t.is(metrics().totalConnections, 1);
  t.is(metrics().requests, 100);
  t.is(metrics().answers, 100);
});

test('answers have the head that clients expect', async (t) => {
  const { once } = await startServer(t, (context) => context.response.text('Hello'));
  const answer = await once(GET);
  t.is(answer.head.split('\r\n')[0], 'HTTP/1.1 200 OK');
  t.deepEqual([...answer.headers.keys()].sort(), [
    'content-length',
    'content-type',
    'date',
    'server',
  ]);
  t.deepEqual(answer.headers.get('content-type'), ['text/plain; charset=utf-8']);
  t.deepEqual(answer.headers.get('server'), ['windhover']);
  const [date] = answer.headers.get('date') ?? [];
  t.regex(date, /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
  t.true(Math.abs(Date.parse(date) - Date.now()) < 5000);
});

test('the Server field can be left out, and replaced', async (t) => {
  const silent = await startServer(t, (context) => context.response.text(''), {
    addServerHeader: false,
  });
  t.false((await silent.once(GET)).headers.has('server'));
  const own = await startServer(t, (context) => {
    context.response.headers.set('Server', 'other');
    context.response.headers.set('Date', 'Thu, 01 Jan 1970 00:00:00 GMT');
    return context.response.text('');
  });
  const answer = await own.once(GET);
  t.deepEqual(answer.headers.get('server'), ['other']);
  t.deepEqual(answer.headers.get('date'), ['Thu, 01 Jan 1970 00:00:00 GMT']);
});

test('Connection: close of the client ends the connection after the answer', async (t) => {
  const { connect } = await startServer(t, (context) => context.response.text('a'));
  for (const value of ['close', 'x, CLOSE', 'keep-alive, close']) {
    const client = await connect();
    const answer = await client.request(
      `GET / HTTP/1.1\r\nHost: h\r\nConnection: ${value}\r\n\r\n`,
    );
    t.deepEqual(answer.headers.get('connection'), ['close'], value);
    t.is(answer.text, 'a');
    t.is(await client.closed, 'end', value);
  }
});

test('after Connection: close nothing of the client is served', async (t) => {
  const { connect, metrics } = await startServer(t, (context) => context.response.text('a'));
  const client = await connect();
  void client.write(`GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n${GET}`);
  t.is((await client.answer()).status, 200);
  t.is((await client.rest()).length, 0);
  t.is(metrics().requests, 1);
});

test('Connection: close of the application ends the connection after the answer', async (t) => {
  const { connect } = await startServer(t, (context) => {
    context.response.headers.set('Connection', 'close');
    return context.response.text('a');
  });
  const client = await connect();
  const answer = await client.request(GET);
  t.deepEqual(answer.headers.get('connection'), ['close']);
  t.is(await client.closed, 'end');
});

test('other words in Connection keep the connection open', async (t) => {
  const { connect } = await startServer(t, (context) => context.response.text('a'));
  const client = await connect();
  for (const value of ['keep-alive, foo', 'foo', '']) {
    const answer = await client.request(
      `GET / HTTP/1.1\r\nHost: h\r\nConnection: ${value}\r\n\r\n`,
    );
    t.false(answer.headers.has('connection'), value);
  }
  t.is((await client.request(GET)).status, 200);
});

test('HTTP/1.0 closes unless the client wants it otherwise', async (t) => {
  const { connect } = await startServer(t, (context) =>
    context.response.text(context.request.protocol),
  );
  const once = await connect();
  const last = await once.request('GET / HTTP/1.0\r\n\r\n');
  t.is(last.text, 'HTTP/1.0');
  t.is(last.version, 'HTTP/1.1');
  t.deepEqual(last.headers.get('connection'), ['close']);
  t.is(await once.closed, 'end');

  const kept = await connect();
  for (let i = 0; i < 3; i++) {
    const answer = await kept.request('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    t.deepEqual(answer.headers.get('connection'), ['keep-alive']);
    t.is(answer.framing, 'length');
  }
  const both = await kept.request('GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n');
  t.deepEqual(both.headers.get('connection'), ['close']);
  t.is(await kept.closed, 'end');
});

test('HTTP/1.0 gets a body of unknown length until the end of the connection', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    await context.response.write('a');
    await context.response.write('bc');
  });
  for (const field of ['', 'Connection: keep-alive\r\n']) {
    const client = await connect();
    const answer = await client.request(`GET / HTTP/1.0\r\n${field}\r\n`);
    t.is(answer.framing, 'close');
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is(answer.text, 'abc');
    t.is(await client.closed, 'end');
  }
});

test('HTTP/1.0 keeps the connection where the application declares the length', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    context.response.contentLength = 3;
    await context.response.write('abc');
  });
  const client = await connect();
  for (let i = 0; i < 2; i++) {
    const answer = await client.request('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    t.is(answer.framing, 'length');
    t.is(answer.text, 'abc');
    t.deepEqual(answer.headers.get('connection'), ['keep-alive']);
  }
});

test('a client that half-closes gets its answers', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await context.response.text(context.request.path);
  });
  const client = await connect();
  void client.write(
    'GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc' +
      'GET /3 HTTP/1.1\r\nHost: h\r\n\r\n',
  );
  client.halfClose();
  t.is((await client.answer()).text, '/1');
  t.is((await client.answer()).text, '/2');
  const last = await client.answer();
  t.is(last.text, '/3');
  t.is(await client.closed, 'end');
});

test('a client that half-closes gets a long answer whole', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    for (let i = 0; i < 64; i++) await context.response.write(Buffer.alloc(16_384, i));
  });
  const client = await connect();
  void client.write(GET);
  client.halfClose();
  t.is((await client.answer()).body.length, 64 * 16_384);
  t.is(await client.closed, 'end');
});

test('a client that half-closes within a head is let go', async (t) => {
  const { connect, metrics } = await startServer(t, (context) => context.response.text('a'));
  for (const bytes of ['', '\r\n', 'GET', 'GET / HTTP/1.1\r\nHo', `${GET}GET / HT`]) {
    const client = await connect();
    if (bytes !== '') void client.write(bytes);
    client.halfClose();
    if (bytes.startsWith(GET)) t.is((await client.answer()).text, 'a');
    t.is((await client.rest()).length, 0, JSON.stringify(bytes));
  }
  await until(() => metrics().activeRequests === 0, 'half a head is given back');
});

test('blank lines before a request are skipped, but not endlessly', async (t) => {
  const { connect } = await startServer(t, (context) => context.response.text('a'));
  const client = await connect();
  t.is((await client.request(`\r\n${GET}`)).status, 200);
  t.is((await client.request(`\r\n\r\n${GET}`)).status, 200);
  t.is((await client.request('\r\n'.repeat(40))).status, 400);
  t.is(await client.closed, 'end');
});

test('a thousand connections, one request each', async (t) => {
  const { port, metrics } = await startServer(t, (context) => context.response.text('a'));
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next++ < 1000) {
      const client = await RawClient.connect(port);
      const answer = await client.request('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      t.is(answer.text, 'a');
      t.is(await client.closed, 'end');
      client.destroy();
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  t.is(metrics().totalConnections, 1000);
  await until(() => metrics().connections === 0, 'all connections are gone');
});

test('an idle connection ends after keepAliveTimeout, without a word', async (t) => {
  const { connect } = await startServer(t, (context) => context.response.text('a'), {
    limits: { keepAliveTimeout: 600 },
  });
  const silent = await connect();
  const used = await connect();
  t.is((await used.request(GET)).status, 200);
  t.is((await silent.rest()).length, 0);
  t.is(await silent.closed, 'end');
  t.is((await used.rest()).length, 0);
  t.is(await used.closed, 'end');
});

test('keepAliveTimeout leaves a connection alone whose request still runs', async (t) => {
  const { connect } = await startServer(
    t,
    async (context) => {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await context.response.text('late');
    },
    { limits: { keepAliveTimeout: 500 } },
  );
  t.is((await (await connect()).request(GET)).text, 'late');
});

test('a head that does not come to its end is answered 408', async (t) => {
  const { connect, metrics } = await startServer(t, (context) => context.response.text('a'), {
    limits: { requestHeadersTimeout: 600 },
  });
  for (const bytes of ['G', 'GET / HTTP/1.1\r\nHost', `${GET}GET / HTTP/1.1\r\n`]) {
    const client = await connect();
    void client.write(bytes);
    if (bytes.startsWith(GET)) t.is((await client.answer()).status, 200);
    const answer = await client.answer();
    t.is(answer.status, 408);
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is(await client.closed, 'end');
  }
  t.is(metrics().refused, 3);
});

test('a client that trickles its head does not put off requestHeadersTimeout', async (t) => {
  const { connect } = await startServer(t, (context) => context.response.text('a'), {
    limits: { requestHeadersTimeout: 200 },
  });
  const client = await connect();
  void client.write('GET / HTTP/1.1\r\nX: ');
  const trickle = setInterval(() => void client.write('x'), 20);
  t.teardown(() => {
    clearInterval(trickle);
  });
  t.is((await client.answer()).status, 408);
});
