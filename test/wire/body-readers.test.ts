/** Reading bodies: once, byte streams, leaving off, clients that go, and requests that are over. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { RequestBody } from '../../lib/http/request-body.js';
import { codeOf, codeOfRejection } from '../support/errors.js';
import { captureErrors } from '../support/quiet-console.js';
import { deferred, until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

function post(fields: string, body = ''): string {
  return `POST / HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n${body}`;
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

test('text and JSON are UTF-8 as in fetch, whatever the charset says', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await response.json(
      request.path === '/json' ? await request.body.json() : await request.body.text(),
    );
  });
  const client = await connect();
  for (const type of ['text/plain', 'text/plain; charset=iso-8859-1', 'text/plain; charset=x']) {
    for (const [body, text] of [
      ['gr\xc3\xbc\xc3\x9fe', 'grüße'],
      ['\xef\xbb\xbfabc', 'abc'],
      ['\xef\xbb\xbf\xef\xbb\xbfabc', '\ufeffabc'],
      ['\xff\xfea', '\ufffd\ufffda'],
      ['a\xe2\x82', 'a\ufffd'],
      ['', ''],
    ] as const) {
      const fields = `Content-Type: ${type}\r\nContent-Length: ${String(body.length)}`;
      t.is(JSON.parse((await client.request(post(fields, body))).text), text);
      // "UTF-8 decode" of the Encoding Standard, which is what fetch does.
      t.is(new TextDecoder().decode(Buffer.from(body, 'latin1')), text);
      const chunks = [...body].map(chunk).join('');
      const cut = post(`Content-Type: ${type}\r\nTransfer-Encoding: chunked`, `${chunks}0\r\n\r\n`);
      t.is(JSON.parse((await client.request(cut)).text), text, 'in single bytes');
    }
    const json = '\xef\xbb\xbf{"a":"\xc3\xbc"}';
    const answer = await client.request(
      post(`Content-Type: ${type}\r\nContent-Length: ${String(json.length)}`, json).replace(
        ' / ',
        ' /json ',
      ),
    );
    t.deepEqual(JSON.parse(answer.text), { a: 'ü' });
  }
});

test('the web stream reads into memory of the reader', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const reader = request.body.stream().getReader({ mode: 'byob' });
    let memory = new Uint8Array(4);
    let text = '';
    const sizes: number[] = [];
    for (;;) {
      const step = await reader.read(memory);
      if (step.done) break;
      sizes.push(step.value.byteLength);
      text += Buffer.from(step.value).toString();
      memory = new Uint8Array(step.value.buffer);
    }
    t.true(sizes.every((size) => size > 0 && size <= 4));
    await response.text(text);
  });
  const client = await connect();
  for (let i = 0; i < 3; i++) {
    t.is((await client.request(post('Content-Length: 10', '0123456789'))).text, '0123456789');
    const chunked = post(
      'Transfer-Encoding: chunked',
      `${chunk('01234')}${chunk('5678')}0\r\n\r\n`,
    );
    t.is((await client.request(chunked)).text, '012345678');
    t.is((await client.request(post('Content-Length: 0'))).text, '');
  }
});

test('small bodies read as streams take no other body along', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const [piece] = [await request.body.stream().getReader().read()];
    const bytes = piece.value ?? new Uint8Array();
    structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] }); // it is the reader's
    await response.text('ok');
  });
  const { connect: connectOther } = await startServer(t, async ({ request, response }) => {
    const bytes = await request.body.bytes();
    await delay(1);
    await response.bytes(bytes);
  });
  const clients = await Promise.all([connect(), connectOther()]);
  for (let i = 0; i < 50; i++) {
    const body = String(i).padStart(10, '0');
    const request = post('Content-Length: 10', body);
    const [ok, echo] = await Promise.all(clients.map((client) => client.request(request)));
    t.is(ok.text, 'ok');
    t.is(echo.text, body);
  }
});

/** Ways to take the body; each claims it. */
const TAKE: Readonly<Record<string, (body: RequestBody) => unknown>> = {
  bytes: (body) => body.bytes(),
  text: (body) => body.text(),
  json: (body) => body.json(),
  stream: (body) => body.stream(),
  readable: (body) => body.readable(),
  iterator: (body) => body[Symbol.asyncIterator](),
};

test('a body that was read in part cannot be read in another way', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    t.false(request.body.used);
    const reader = request.body.stream().getReader();
    t.true(request.body.used);
    await reader.read();
    reader.releaseLock();
    for (const [name, take] of Object.entries(TAKE)) {
      const code = await codeOfRejection((async () => take(request.body))());
      t.is(code, 'WH_ERR_BODY_USED', name);
    }
    await response.text('ok');
  });
  const client = await connect();
  t.is((await client.request(post('Content-Length: 3', 'abc'))).text, 'ok');
  t.is(
    (await client.request(post('Transfer-Encoding: chunked', `${chunk('a')}0\r\n\r\n`))).text,
    'ok',
  );
});

test('after its request a body cannot be read, begun or not', async (t) => {
  const kept = deferred<RequestBody>();
  const running = deferred<{ next: () => Promise<unknown>; reader: Promise<unknown> }>();
  const { connect } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/begun') {
      const iterator = request.body[Symbol.asyncIterator]();
      await iterator.next();
      running.resolve({ next: () => iterator.next(), reader: codeOfRejection(iterator.next()) });
    } else {
      kept.resolve(request.body);
    }
    await response.text('ok');
  });
  const client = await connect();
  await client.request(post('Content-Length: 3', 'abc'));
  const body = await kept.promise;
  for (const [name, take] of Object.entries(TAKE)) {
    const code = await codeOfRejection((async () => take(body))());
    t.is(code, 'WH_ERR_CONTEXT_DISPOSED', name);
  }
  const other = await connect();
  const head = post('Content-Length: 10', 'abc').replace(' / ', ' /begun ');
  t.is((await other.request(head)).text, 'ok');
  const { next, reader } = await running.promise;
  t.is(await reader, 'WH_ERR_CONTEXT_DISPOSED');
  t.is(await codeOfRejection(next()), 'WH_ERR_CONTEXT_DISPOSED');
});

/** Ways to leave off after the first piece. */
const LEAVE: Readonly<Record<string, (context: HttpContext) => Promise<void>>> = {
  break: async ({ request }) => {
    for await (const piece of request.body) if (piece.length > 0) break;
  },
  'iterator.return': async ({ request }) => {
    const iterator = request.body[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
  },
  'cancel of the stream': async ({ request }) => {
    const reader = request.body.stream().getReader();
    await reader.read();
    await reader.cancel('enough');
  },
  'destroy of the readable': async ({ request }) => {
    const readable = request.body.readable();
    await once(readable, 'readable');
    readable.read();
    readable.destroy();
    await once(readable, 'close');
  },
};

for (const [name, leave] of Object.entries(LEAVE)) {
  test(`after ${name} the server reads no more of the body until the answer is out`, async (t) => {
    let gate = deferred();
    const left = { count: 0 };
    const { connect, metrics } = await startServer(t, async (context) => {
      if (context.request.path === '/next') return context.response.text('next');
      await leave(context);
      left.count++;
      await gate.promise;
      return context.response.text('left');
    });
    for (const framing of ['Content-Length: 20000000', 'Transfer-Encoding: chunked']) {
      gate = deferred();
      const before = left.count;
      const client = await connect();
      const bytes = metrics().bytesReceived;
      void client.write(post(framing, framing.startsWith('T') ? '1312d00\r\n' : ''));
      void client.write(Buffer.alloc(20_000_000));
      await until(() => left.count > before, 'the reader has left off');
      await delay(30);
      t.true(metrics().bytesReceived - bytes < 10_000_000, 'it has what came meanwhile');
      const then = metrics().bytesReceived;
      await delay(30);
      t.is(metrics().bytesReceived, then, 'and nothing more');
      t.true(client.socket.writableLength > 0, 'the sender waits');
      gate.resolve();
      t.is((await client.answer()).text, 'left');
      t.is(await client.closed, 'end', 'the rest is too much to be read for nothing');
      await client.reset(); // what it still sends is counted, too
      await until(() => metrics().connections === 0, 'it is gone');
    }
    // A short rest is read, and the connection lives.
    const client = await connect();
    void client.write(post('Content-Length: 300000'));
    await client.write(Buffer.alloc(100));
    gate.resolve();
    t.is((await client.answer()).text, 'left');
    void client.write(Buffer.alloc(299_900));
    t.is((await client.request('GET /next HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'next');
  });
}

/** Ways for a client to go in the middle of its body. */
for (const way of ['half-closes', 'closes', 'resets'] as const) {
  test(`a client that ${way} in its body: the reader is told, and the signal fires`, async (t) => {
    const told: unknown[] = [];
    const { connect } = await startServer(t, async ({ request, requestAborted }) => {
      const fired = new Promise((resolve) => {
        requestAborted.addEventListener('abort', () => {
          resolve('fired');
        });
      });
      const code = await codeOfRejection(request.body.bytes());
      told.push([code, await fired, requestAborted.aborted]);
    });
    for (const request of [
      post('Content-Length: 10', 'abc'),
      post('Content-Length: 10'),
      post('Transfer-Encoding: chunked', '5\r\nabc'),
      post('Transfer-Encoding: chunked', '5\r\nabcde\r\n0\r\nX: y\r\n'),
    ]) {
      const client = await connect();
      await client.write(request);
      await delay(3);
      if (way === 'half-closes') client.halfClose();
      else if (way === 'closes') client.destroy();
      else await client.reset();
      await until(() => told.length > 0, 'the reader is told');
      t.deepEqual(told.pop(), ['WH_ERR_REQUEST_ABORTED', 'fired', true], request);
    }
  });
}

test('an error of the body comes out of every reader that asks, and again', async (t) => {
  const { once: ask } = await startServer(t, async ({ request }) => {
    const iterator = request.body[Symbol.asyncIterator]();
    const codes: unknown[] = [];
    for (let i = 0; i < 5; i++) codes.push(await codeOfRejection(iterator.next()));
    t.true(codes.includes('WH_ERR_BAD_BODY'));
    t.is(codes.at(-1), 'WH_ERR_BAD_BODY');
  });
  t.is((await ask(post('Transfer-Encoding: chunked', `${chunk('abc')}zzz\r\n`))).status, 400);
});

test('a body source that middleware puts in place is read instead', async (t) => {
  const { once: ask } = await startServer(t, async ({ request, response, features }) => {
    const { HttpRequestFeature } = await import('../../lib/features/http-features.js');
    const feature = features.get(HttpRequestFeature);
    if (feature === undefined) throw new Error('missing');
    const inner = feature.body;
    feature.body = {
      async *[Symbol.asyncIterator]() {
        for await (const piece of inner) yield Buffer.from(piece).reverse();
      },
    };
    const text = await request.body.text();
    t.is(
      codeOf(() => [...request.trailers]),
      undefined,
    );
    await response.text(text);
  });
  t.is((await ask(post('Content-Length: 3', 'abc'))).text, 'cba');
});
