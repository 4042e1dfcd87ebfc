import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { Deferred } from '../support/until.js';
import { deferred, until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

function get(path: string, fields = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`;
}

/** Numbers that look random, and are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 0x1_0000_0000;
  }
}

test('a hundred requests in one write are answered in order, whatever their delays', async (t) => {
  const random = numbers(1);
  const { connect, metrics } = await startServer(t, async (context) => {
    const wait = random.next().value * 20;
    if (wait > 5) await delay(wait);
    await context.response.text(context.request.path);
  });
  const client = await connect();
  const paths = Array.from({ length: 100 }, (_, i) => `/${String(i)}`);
  void client.write(paths.map((path) => get(path)).join(''));
  for (const path of paths) t.is((await client.answer()).text, path);
  t.is(metrics().answers, 100);
});

test('a hundred sync requests in one write take few calls into JavaScript', async (t) => {
  const { connect, metrics } = await startServer(t, (context) =>
    context.response.text(context.request.path),
  );
  const client = await connect();
  const paths = Array.from({ length: 100 }, (_, i) => `/${String(i)}`);
  void client.write(paths.map((path) => get(path)).join(''));
  for (const path of paths) t.is((await client.answer()).text, path);
  t.true(metrics().batches <= 10, String(metrics().batches));
});

test('answers of every kind keep their order', async (t) => {
  const random = numbers(2);
  const { connect } = await startServer(t, async (context) => {
    const { response } = context;
    const { path } = context.request;
    const kind = path.slice(1, 2);
    await delay(random.next().value * 10);
    switch (kind) {
      case 'w':
        await response.write(`${path} `);
        await delay(random.next().value * 5);
        await response.write('in pieces');
        break;
      case 'b':
        await response.bytes(Buffer.alloc(40_000, path.charCodeAt(2)));
        break;
      case 'p': {
        // Twice what a client is given before it has to read.
        for (let i = 0; i < 4; i++) await response.write(Buffer.alloc(32_768, path.charCodeAt(2)));
        break;
      }
      case 'e':
        response.statusCode = 204;
        break;
      case 't':
        await response.text(path.repeat(5000));
        break;
      default:
        throw new Error('the handler fails');
    }
  });
  const client = await connect();
  const kinds = ['w', 'b', 'x', 'p', 'e', 't'];
  const paths = Array.from({ length: 60 }, (_, i) => `/${kinds[i % 6]}${String(i % 10)}`);
  void client.write(paths.map((path) => get(path)).join(''));
  for (const path of paths) {
    const answer = await client.answer();
    const digit = path.charCodeAt(2);
    switch (path.slice(1, 2)) {
      case 'w':
        t.is(answer.text, `${path} in pieces`);
        break;
      case 'b':
        t.true(answer.body.equals(Buffer.alloc(40_000, digit)));
        break;
      case 'p':
        t.true(answer.body.equals(Buffer.alloc(131_072, digit)));
        break;
      case 'e':
        t.is(answer.status, 204);
        break;
      case 't':
        t.is(answer.text, path.repeat(5000));
        break;
      default:
        t.is(answer.status, 500);
    }
  }
});

test('an unsafe method waits for what came before it, and holds what comes after', async (t) => {
  const running: string[] = [];
  const log: string[] = [];
  const gates = new Map<string, Deferred<void>>();
  const { connect } = await startServer(t, async (context) => {
    const name = context.request.path;
    running.push(name);
    log.push(`begin ${name}`);
    const gate = deferred();
    gates.set(name, gate);
    await gate.promise;
    log.push(`end ${name}`);
    running.splice(running.indexOf(name), 1);
    await context.response.text(name);
  });
  const client = await connect();
  const post = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab`;
  void client.write(get('/a') + get('/b') + post('/c') + get('/d') + post('/e'));
  await until(() => gates.has('/b'), 'both safe requests run');
  t.deepEqual(running, ['/a', '/b']);
  gates.get('/b')?.resolve();
  gates.get('/a')?.resolve();
  await until(() => gates.has('/c'), 'the unsafe one runs');
  t.deepEqual(running, ['/c']);
  gates.get('/c')?.resolve();
  await until(() => gates.has('/d'), 'the next one runs');
  t.deepEqual(running, ['/d']);
  gates.get('/d')?.resolve();
  await until(() => gates.has('/e'), 'the last one runs');
  gates.get('/e')?.resolve();
  for (const path of ['/a', '/b', '/c', '/d', '/e']) t.is((await client.answer()).text, path);
  t.is(log.indexOf('begin /c') > log.indexOf('end /a'), true);
  t.is(log.indexOf('begin /d') > log.indexOf('end /c'), true);
});

test('no more than maxPipelinedRequests of one connection run at once', async (t) => {
  let running = 0;
  let most = 0;
  const gate = deferred();
  const { connect } = await startServer(
    t,
    async (context) => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
      await context.response.text(context.request.path);
    },
    { limits: { maxPipelinedRequests: 5 } },
  );
  const client = await connect();
  const other = await connect();
  const paths = Array.from({ length: 50 }, (_, i) => `/${String(i)}`);
  void client.write(paths.map((path) => get(path)).join(''));
  await until(() => running === 5, 'five of them run');
  void other.write(get('/other'));
  await until(() => running === 6, 'another connection has room of its own');
  gate.resolve();
  for (const path of paths) t.is((await client.answer()).text, path);
  t.is((await other.answer()).text, '/other');
  t.is(most, 6);
});

test('bodies between pipelined requests stay with their requests', async (t) => {
  const random = numbers(3);
  const { connect } = await startServer(t, async (context) => {
    const text = await context.request.body.text();
    await delay(random.next().value * 3);
    await context.response.text(`${context.request.path} ${text}`);
  });
  const client = await connect();
  let bytes = '';
  for (let i = 0; i < 60; i++) {
    const body = `${String(i)}:${'x'.repeat(i * 7)}`;
    if (i % 3 === 0) bytes += get(`/${String(i)}`);
    else if (i % 3 === 1) {
      bytes += `POST /${String(i)} HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`;
    } else {
      const half = body.length >> 1;
      const chunks = [body.slice(0, half), body.slice(half)]
        .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
        .join('');
      bytes += `PUT /${String(i)} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
    }
  }
  void client.write(bytes);
  for (let i = 0; i < 60; i++) {
    const body = i % 3 === 0 ? '' : `${String(i)}:${'x'.repeat(i * 7)}`;
    t.is((await client.answer()).text, `/${String(i)} ${body}`);
  }
});

test('a refusal comes after the answers that are due before it', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    await delay(10);
    await context.response.text(context.request.path);
  });
  const client = await connect();
  void client.write(`${get('/1')}${get('/2')}BAD\r\n\r\n${get('/3')}`);
  t.is((await client.answer()).text, '/1');
  t.is((await client.answer()).text, '/2');
  const refusal = await client.answer();
  t.is(refusal.status, 400);
  t.deepEqual(refusal.headers.get('connection'), ['close']);
  t.is((await client.rest()).length, 0);
});

test('Connection: close among pipelined requests ends the connection after its answer', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    await delay(context.request.path === '/1' ? 20 : 1);
    await context.response.text(context.request.path);
  });
  const client = await connect();
  void client.write(get('/1') + get('/2', 'Connection: close\r\n') + get('/3'));
  t.is((await client.answer()).text, '/1');
  const last = await client.answer();
  t.is(last.text, '/2');
  t.deepEqual(last.headers.get('connection'), ['close']);
  t.is((await client.rest()).length, 0);
});

test('Connection: close of the application ends the connection before later answers', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    if (context.request.path === '/2') context.response.headers.set('Connection', 'close');
    await delay(context.request.path === '/1' ? 20 : 1);
    await context.response.text(context.request.path);
  });
  const client = await connect();
  void client.write(get('/1') + get('/2') + get('/3') + get('/4'));
  t.is((await client.answer()).text, '/1');
  t.is((await client.answer()).text, '/2');
  t.is((await client.rest()).length, 0);
});

test('a client that pipelines without end and never reads takes bounded memory', async (t) => {
  const body = Buffer.alloc(10_000, 'x');
  const { connect, metrics } = await startServer(t, (context) => context.response.bytes(body));
  const client = await connect();
  client.pause();
  const batch = Buffer.from(get('/').repeat(1000), 'latin1');
  const before = process.memoryUsage.rss();
  // 60,000 requests of 40 bytes ask for 600 MB.
  for (let i = 0; i < 60; i++) void client.write(batch);
  let last = -1;
  // Until the server takes no more.
  await until(async () => {
    const { requests } = metrics();
    const still = requests === last;
    last = requests;
    await delay(100);
    return still;
  }, 'the server stops reading');
  const grown = process.memoryUsage.rss() - before;
  t.log(`${String(last)} requests taken, ${(grown / 1e6).toFixed(1)} MB more`);
  t.true(last < 60_000, String(last));
  t.true(grown < 64_000_000, String(grown));
  // And it all goes on once the client reads.
  client.resume();
  for (let i = 0; i < 2000; i++) t.is((await client.answer()).body.length, 10_000);
});
