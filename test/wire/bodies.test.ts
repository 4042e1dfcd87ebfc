import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Writable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

function post(fields: string, body = ''): string {
  return `POST / HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n${body}`;
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

type Reader = (context: HttpContext) => Promise<string>;

/** Every way to read a body. */
const READERS: Readonly<Record<string, Reader>> = {
  bytes: async ({ request }) => Buffer.from(await request.body.bytes()).toString(),
  text: ({ request }) => request.body.text(),
  json: async ({ request }) => JSON.stringify(await request.body.json()),
  iterator: async ({ request }) => {
    let text = '';
    for await (const piece of request.body) text += Buffer.from(piece).toString('latin1');
    return text;
  },
  stream: async ({ request }) => {
    let text = '';
    for await (const piece of request.body.stream()) text += Buffer.from(piece).toString('latin1');
    return text;
  },
  'web reader': async ({ request }) => {
    const reader = request.body.stream().getReader();
    let text = '';
    for (let step = await reader.read(); step.value !== undefined; step = await reader.read()) {
      text += Buffer.from(step.value).toString('latin1');
    }
    return text;
  },
  'Response of fetch': async ({ request }) => new Response(request.body.stream() as never).text(),
  readable: async ({ request }) => {
    const readable = request.body.readable().setEncoding('latin1');
    let text = '';
    readable.on('data', (piece: string) => (text += piece));
    await once(readable, 'end');
    return text;
  },
  pipeline: async ({ request }) => {
    let text = '';
    const sink = new Writable({
      write(piece: Buffer, _, done) {
        text += piece.toString('latin1');
        setImmediate(done);
      },
    });
    await pipeline(request.body.readable(), sink);
    return text;
  },
};

for (const [name, read] of Object.entries(READERS)) {
  for (const when of ['at once', 'later']) {
    test(`a body is read by ${name}, ${when}`, async (t) => {
      const { connect } = await startServer(t, async (context) => {
        if (when === 'later') await delay(3);
        await context.response.text(await read(context));
      });
      const client = await connect();
      const json = JSON.stringify({ a: 'x'.repeat(5000), b: [1, 2, 3] });
      // All with the head; nothing with the head; in chunks, at once and bit by bit.
      t.is((await client.request(post(`Content-Length: ${String(json.length)}`, json))).text, json);
      void client.write(post(`Content-Length: ${String(json.length)}`));
      await delay(5);
      void client.write(json.slice(0, 10));
      await delay(1);
      void client.write(json.slice(10));
      t.is((await client.answer()).text, json);
      const pieces = [json.slice(0, 1), json.slice(1, 100), json.slice(100)];
      const chunks = `${pieces.map(chunk).join('')}0\r\n\r\n`;
      t.is((await client.request(post('Transfer-Encoding: chunked', chunks))).text, json);
      void client.write(post('Transfer-Encoding: chunked'));
      for (let at = 0; at < chunks.length; at += 997) {
        await client.write(chunks.slice(at, at + 997));
      }
      t.is((await client.answer()).text, json);
      // Nothing is left over.
      t.is((await client.request(post('Content-Length: 2', '{}'))).text, '{}');
    });
  }
}

test('a request without a body has an empty one', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await response.json([
      request.hasBody,
      (await request.body.bytes()).length,
      request.contentLength ?? 'none',
    ]);
  });
  const client = await connect();
  const get = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
  t.is((await client.request(get)).text, '[false,0,"none"]');
  t.is((await client.request(post('Content-Length: 0'))).text, '[false,0,0]');
  t.is((await client.request(post('X: y'))).text, '[false,0,"none"]');
  t.is(
    (await client.request(post('Transfer-Encoding: chunked', '0\r\n\r\n'))).text,
    '[true,0,"none"]',
  );
});

test('the pieces of an iterator come as they arrive', async (t) => {
  const pieces: string[] = [];
  const { connect } = await startServer(t, async ({ request, response }) => {
    for await (const piece of request.body) pieces.push(Buffer.from(piece).toString());
    await response.text('done');
  });
  const client = await connect();
  void client.write(post('Transfer-Encoding: chunked'));
  for (let i = 0; i < 5; i++) {
    void client.write(chunk(`piece ${String(i)}`));
    await until(() => pieces.length === i + 1, 'the piece is there');
  }
  void client.write('0\r\n\r\n');
  t.is((await client.answer()).text, 'done');
  t.deepEqual(pieces, ['piece 0', 'piece 1', 'piece 2', 'piece 3', 'piece 4']);
});

test('the next request is served where a body was left unread, or half-read', async (t) => {
  const handlers: Readonly<Record<string, (context: HttpContext) => Promise<void> | void>> = {
    unread: ({ response }) => response.text('a'),
    'unread, later': async ({ response }) => {
      await delay(5);
      await response.text('a');
    },
    'one piece': async ({ request, response }) => {
      for await (const piece of request.body) {
        await response.text(piece.length > 0 ? 'a' : 'b');
        break;
      }
    },
    'stream cancelled': async ({ request, response }) => {
      const reader = request.body.stream().getReader();
      await reader.read();
      await reader.cancel();
      await response.text('a');
    },
    'readable destroyed': async ({ request, response }) => {
      const readable = request.body.readable();
      await once(readable, 'readable');
      readable.destroy();
      await response.text('a');
    },
    'failing meanwhile': async ({ request }) => {
      for await (const piece of request.body)
        throw new Error(`fails after ${String(piece.length)}`);
    },
  };
  for (const [name, handler] of Object.entries(handlers)) {
    const { connect } = await startServer(t, (context) =>
      context.request.path === '/next' ? context.response.text('next') : handler(context),
    );
    for (const size of [10, 5000, 300_000]) {
      const client = await connect();
      const body = 'x'.repeat(size);
      for (const request of [
        post(`Content-Length: ${String(size)}`, body),
        post('Transfer-Encoding: chunked', `${chunk(body)}0\r\n\r\n`),
      ]) {
        void client.write(request);
        const answer = await client.answer();
        t.is(answer.status, name === 'failing meanwhile' ? 500 : 200, name);
        const next = await client.request('GET /next HTTP/1.1\r\nHost: h\r\n\r\n');
        t.is(next.text, 'next', `${name} of ${String(size)}`);
      }
      client.destroy();
    }
  }
});

test('an unread body that never comes does not hold the answer up', async (t) => {
  const { connect } = await startServer(t, ({ response }) => response.text('a'));
  for (const fields of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
    const client = await connect();
    t.is((await client.request(post(fields))).text, 'a');
    client.destroy();
  }
});

test('an unread body that is too long to throw away ends the connection', async (t) => {
  const { connect } = await startServer(t, ({ response }) => response.text('a'), {
    limits: { maxRequestBodySize: null },
  });
  const client = await connect();
  t.is((await client.request(post('Content-Length: 100000000'))).text, 'a');
  const block = Buffer.alloc(65_536);
  const sender = setInterval(() => void client.write(block), 0);
  t.teardown(() => {
    clearInterval(sender);
  });
  t.truthy(await within(client.closed, 'the end of the connection'));
});

test('100 Continue is sent when the body is asked for, and not before', async (t) => {
  const gate = deferred();
  const { connect } = await startServer(t, async ({ request, response }) => {
    await gate.promise;
    await response.text(await request.body.text());
  });
  const client = await connect();
  void client.write(post('Expect: 100-continue\r\nContent-Length: 3'));
  await delay(20);
  t.is(client.received, 0);
  gate.resolve();
  const interim = await client.answer();
  t.is(interim.status, 100);
  t.is(interim.head, 'HTTP/1.1 100 Continue\r\n\r\n');
  void client.write('abc');
  t.is((await client.answer()).text, 'abc');
  // Sent along: no need to say it.
  const along = await client.request(post('Expect: 100-continue\r\nContent-Length: 3', 'def'));
  t.is(along.status, 200);
  t.is(along.text, 'def');
});

test('100 Continue comes for every way to read, on chunked bodies too', async (t) => {
  for (const [name, read] of Object.entries(READERS)) {
    const { connect } = await startServer(t, async (context) =>
      context.response.text(await read(context)),
    );
    for (const [fields, body] of [
      ['Content-Length: 2', '{}'],
      ['Transfer-Encoding: chunked', `${chunk('{}')}0\r\n\r\n`],
    ] as const) {
      const client = await connect();
      void client.write(post(`Expect: 100-continue\r\n${fields}`));
      t.is((await client.answer()).status, 100, name);
      void client.write(body);
      t.is((await client.answer()).text, '{}', name);
    }
  }
});

test('without 100 Continue no body byte is read as a request', async (t) => {
  const { connect, metrics } = await startServer(t, ({ response }) => response.text('a'));
  const client = await connect();
  const answer = await client.request(post('Expect: 100-continue\r\nContent-Length: 38'));
  t.is(answer.status, 200);
  t.deepEqual(answer.headers.get('connection'), ['close']);
  void client.write('GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is((await client.rest()).length, 0);
  t.is(metrics().requests, 1);
});

test('HTTP/1.0 gets no 100 Continue', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) =>
    response.text(await request.body.text()),
  );
  const client = await connect();
  void client.write('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
  await delay(20);
  t.is(client.received, 0);
  void client.write('abc');
  t.is((await client.answer()).text, 'abc');
});

test('a bad body reaches the reader as an error, and the client as its status', async (t) => {
  const seen: unknown[] = [];
  const { connect, reported } = await startServer(t, async ({ request, response }) => {
    try {
      await request.body.bytes();
    } catch (error) {
      seen.push(error);
      throw error;
    }
    await response.text('unreachable');
  });
  const client = await connect();
  void client.write(post('Transfer-Encoding: chunked', '3\r\nabc\r\n'));
  await delay(5);
  void client.write('zzz\r\n');
  const answer = await client.answer();
  t.is(answer.status, 400);
  t.deepEqual(answer.headers.get('connection'), ['close']);
  t.is((await client.rest()).length, 0);
  const [error] = seen as { name: string; statusCode: number; code: string }[];
  t.is(error.name, 'BadHttpRequestError');
  t.is(error.statusCode, 400);
  t.is(error.code, 'WH_ERR_BAD_BODY');
  t.deepEqual(reported, [], 'a bad request is no failure of the handler');
});

test('a bad body is refused where the connection ends anyway', async (t) => {
  const { once } = await startServer(t, async ({ request, response }) => {
    await response.text(await request.body.text());
  });
  const bad = 'Transfer-Encoding: chunked\r\n\r\nzzz\r\n';
  for (const fields of ['', 'Connection: close\r\n', 'Expect: 100-continue\r\n']) {
    t.is((await once(`POST / HTTP/1.1\r\nHost: h\r\n${fields}${bad}`)).status, 400, fields);
  }
});

test('an application that swallows a bad body cannot answer 200 for it', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await request.body.bytes().catch(() => undefined);
    await response.text('all is well');
  });
  const client = await connect();
  void client.write(post('Transfer-Encoding: chunked', '3\r\nabc\r\n'));
  await delay(5);
  void client.write('zzz\r\n');
  t.is((await client.answer()).status, 400);
});

test('an answer that has begun is cut short by a bad body', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await response.write('begin ');
    await request.body.bytes().catch(() => undefined);
    await response.write('end');
  });
  const client = await connect();
  void client.write(post('Transfer-Encoding: chunked', '3\r\nabc\r\n'));
  await until(() => client.peek().includes('begin'), 'the answer has begun');
  void client.write('zzz\r\n');
  t.is(await client.closed, 'reset');
  t.false(client.peek().includes('0\r\n\r\n'));
});

test('a body beyond maxRequestBodySize is answered 413', async (t) => {
  const seen: unknown[] = [];
  const { connect } = await startServer(
    t,
    async ({ request, response }) => {
      await response.text(
        await request.body.text().catch((error: unknown) => {
          seen.push(error);
          throw error;
        }),
      );
    },
    { limits: { maxRequestBodySize: 100 } },
  );
  const exact = await connect();
  const body = 'x'.repeat(100);
  t.is((await exact.request(post('Content-Length: 100', body))).text, body);
  t.is(
    (await exact.request(post('Transfer-Encoding: chunked', `${chunk(body)}0\r\n\r\n`))).text,
    body,
  );
  t.is((await exact.request(post('Content-Length: 101', `${body}x`))).status, 413);
  const chunked = await connect();
  void chunked.write(post('Transfer-Encoding: chunked', chunk(body)));
  await delay(5);
  void chunked.write(`${chunk('x')}0\r\n\r\n`);
  t.is((await chunked.answer()).status, 413);
  t.is((seen[0] as { statusCode: number }).statusCode, 413);
});

test('the client can read a refusal while it still sends a large body', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) =>
    response.text(await request.body.text()),
  );
  const client = await connect();
  void client.write(post('Content-Length: 40000000', 'x'.repeat(2_000_000)));
  t.is((await client.answer()).status, 413);
  t.is(await client.closed, 'end');
});

test('two readers of one body: the second is told', async (t) => {
  const { once: ask } = await startServer(t, async ({ request, response }) => {
    const first = request.body.bytes();
    const codes: unknown[] = [];
    for (const attempt of [
      () => request.body.bytes(),
      () => request.body.text(),
      () => request.body.json(),
      () => request.body.stream(),
      () => request.body.readable(),
      () => request.body[Symbol.asyncIterator](),
    ]) {
      try {
        await attempt();
        codes.push('none');
      } catch (error) {
        codes.push((error as { code?: unknown }).code);
      }
    }
    await response.json([Buffer.from(await first).toString(), ...codes]);
  });
  const answer = await ask(post('Content-Length: 3', 'abc'));
  t.deepEqual(JSON.parse(answer.text), ['abc', ...Array<string>(6).fill('WH_ERR_BODY_USED')]);
});

test('an iterator that is asked for several pieces at once gives them in order', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const iterator = request.body[Symbol.asyncIterator]();
    const steps = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
    const pieces: string[] = [];
    for (const step of await Promise.all(steps)) {
      pieces.push(step.value === undefined ? 'end' : Buffer.from(step.value).toString());
    }
    await response.json(pieces);
  });
  const client = await connect();
  void client.write(post('Transfer-Encoding: chunked'));
  for (const piece of ['a', 'b']) {
    await delay(10);
    void client.write(chunk(piece));
  }
  await delay(10);
  void client.write('0\r\n\r\n');
  t.is((await within(client.answer(), 'the answer', 5000)).text, '["a","b","end","end"]');
});

/** Sends half a body and resets the connection; the handler's part in it settles `done`. */
async function abortHalfway(
  t: ExecutionContext,
  handler: (context: HttpContext) => Promise<void>,
  half = 'half',
): Promise<void> {
  const begun = deferred();
  const done = deferred();
  const { connect } = await startServer(t, async (context) => {
    begun.resolve();
    try {
      await handler(context);
      done.resolve();
    } catch (error) {
      done.reject(error);
      throw error;
    }
  });
  const client = await connect();
  void client.write(post('Content-Length: 100', half));
  await begun.promise;
  await delay(5);
  await client.reset();
  await within(done.promise, 'the handler hears of it');
}

for (const [name, read] of Object.entries(READERS)) {
  test(`${name} fails where the client goes away halfway`, async (t) => {
    const error = await t.throwsAsync(
      abortHalfway(t, async (context) => {
        await read(context);
      }),
    );
    const codes = [error, error.cause].map((e) => (e as { code?: string } | undefined)?.code);
    t.true(codes.includes('WH_ERR_REQUEST_ABORTED'), error.stack);
  });
}

test('a handler that does not look at the body of a client that went away is not disturbed', async (t) => {
  await t.notThrowsAsync(
    abortHalfway(t, async (context) => {
      const aborted = new Promise((resolve) => {
        context.requestAborted.addEventListener('abort', resolve);
      });
      await aborted;
      await context.response.text('nobody reads this');
    }),
  );
});

test('a body that is asked for after the client has gone fails at once', async (t) => {
  for (const [name, read] of Object.entries(READERS)) {
    for (const touched of [true, false]) {
      const error = await t.throwsAsync(
        abortHalfway(
          t,
          async (context) => {
            if (touched) t.is(context.request.method, 'POST');
            const aborted = new Promise((resolve) => {
              context.requestAborted.addEventListener('abort', resolve);
            });
            await aborted;
            await read(context);
          },
          '',
        ),
      );
      const codes = [error, error.cause].map((e) => (e as { code?: string } | undefined)?.code);
      t.true(codes.includes('WH_ERR_REQUEST_ABORTED'), `${name}: ${String(error.stack)}`);
    }
  }
});

test('a body that nobody waits for yet may fail without ending the process', async (t) => {
  for (const way of ['bytes', 'text', 'json', 'readable', 'stream'] as const) {
    const begun = deferred();
    const { connect, once: ask } = await startServer(t, async ({ request, response }) => {
      const promise: unknown = request.body[way]();
      begun.resolve();
      await delay(20);
      await response.text(typeof promise);
    });
    const client = await connect();
    void client.write(post('Content-Length: 100', 'half'));
    await begun.promise;
    await client.reset();
    t.is((await ask(post('Content-Length: 4', 'nope'))).text, 'object', way);
    t.is((await ask(post('Transfer-Encoding: chunked', 'zzz\r\n'))).status, 400, way);
  }
  await delay(50);
});

test('what bytes() gave may be transferred, and takes no other request along', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const bytes = await request.body.bytes();
    try {
      structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
    } catch (error) {
      // Memory that is shared with others refuses.
      t.is((error as Error).name, 'DataCloneError');
    }
    await response.text('ok');
  });
  const client = await connect();
  for (const size of [1, 100, 5000, 100_000]) {
    for (let i = 0; i < 3; i++) {
      const answer = await client.request(
        post(`Content-Length: ${String(size)}`, 'x'.repeat(size)),
      );
      t.is(answer.status, 200);
    }
  }
});

test('bodies read by many at once stay with their requests', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const bytes = await request.body.bytes();
    await delay(2);
    await response.bytes(bytes);
  });
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const client = await connect();
      for (let i = 0; i < 20; i++) {
        const body = `${String(n)}:${String(i)}:${'x'.repeat((n * 997 + i * 131) % 3000)}`;
        const answer = await client.request(post(`Content-Length: ${String(body.length)}`, body));
        t.is(answer.text, body);
      }
    }),
  );
});
