/** Bodies of requests. */
import { get, newKey, post, type Case } from './case.js';

const LARGE = 20_000_000;

function chunked(
  target: string,
  chunks: readonly string[],
  trailers = '',
  ...fields: string[]
): string {
  const head = ['POST ', target, ' HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n'];
  const body = chunks.map((each) => `${each.length.toString(16)}\r\n${each}\r\n`).join('');
  return `${head.join('')}${fields.map((each) => `${each}\r\n`).join('')}\r\n${body}0\r\n${trailers}\r\n`;
}

export const bodyCases: readonly Case[] = [
  {
    name: 'a body of known length comes back',
    run: async (t, server) => {
      const client = await server.connect();
      for (const body of ['', 'a', 'b'.repeat(1000), 'c'.repeat(200_000)]) {
        t.is((await client.request(post('/echo', body))).text, body);
      }
    },
  },
  {
    name: 'a chunked body comes back, whole and in pieces',
    run: async (t, server) => {
      const client = await server.connect();
      for (const path of ['/echo', '/echo/stream']) {
        const answer = await client.request(chunked(path, ['one ', 'two ', 'x'.repeat(70_000)]));
        t.is(answer.text, `one two ${'x'.repeat(70_000)}`);
        t.is(answer.framing, path === '/echo' ? 'length' : 'chunked');
      }
    },
  },
  {
    name: 'bodies do not reach the next request, read or not',
    run: async (t, server) => {
      const client = await server.connect();
      for (const path of ['/unread', '/read/some']) {
        const answer = await client.request(post(path, 'x'.repeat(100_000)));
        t.is(answer.status, 200);
        t.is((await client.request(get('/hello'))).text, 'hello');
      }
    },
  },
  {
    name: 'a large upload streams through',
    setup: { limits: { maxRequestBodySize: null } },
    run: async (t, server) => {
      const answer = await fetch(`${server.url}/count`, {
        method: 'POST',
        body: new Uint8Array(LARGE),
      });
      t.deepEqual(await answer.json(), { bytes: LARGE });
    },
  },
  {
    name: 'a large upload that nobody reads does not keep its answer from the client',
    run: async (t, server) => {
      const client = await server.connect();
      void client.write(
        `POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(LARGE)}\r\n\r\n`,
      );
      void client.write(new Uint8Array(LARGE));
      t.is((await client.answer()).text, 'not read');
    },
  },
  {
    name: 'a body that is too large is refused with 413 when it is read',
    setup: { limits: { maxRequestBodySize: 10 } },
    run: async (t, server) => {
      const large = 'x'.repeat(11);
      for (const request of [
        post('/echo', large),
        chunked('/echo', ['x'.repeat(6), 'y'.repeat(6)]),
      ]) {
        const client = await server.connect();
        const answer = await client.request(request);
        t.is(answer.status, 413);
        t.deepEqual(answer.headers.get('connection'), ['close']);
        client.halfClose();
        await client.closed;
      }
      t.is((await server.once(post('/echo', 'x'.repeat(10)))).status, 200);
      t.is((await server.once(post('/count?limit=none', large))).text, '{"bytes":11}');
      t.is((await server.once(post('/count?limit=2', 'abc'))).status, 413);
    },
  },
  {
    name: '100 Continue is sent once the body is wanted, and not before',
    run: async (t, server) => {
      const client = await server.connect();
      const head = (path: string): string =>
        `POST ${path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
      void client.write(head('/echo'));
      t.is((await client.answer()).status, 100);
      void client.write('body');
      t.is((await client.answer()).text, 'body');
      void client.write(head('/unread'));
      const answer = await client.answer();
      t.is(answer.text, 'not read');
    },
  },
  {
    name: '100 Continue is not sent for a body that is too large',
    setup: { limits: { maxRequestBodySize: 3 } },
    run: async (t, server) => {
      const answer = await server.once(
        'POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
      );
      t.is(answer.status, 413);
    },
  },
  {
    name: 'trailers come and go behind the bodies',
    run: async (t, server) => {
      const client = await server.connect();
      void client.write(
        chunked('/trailers', ['body'], 'X-Sum: 1\r\nHost: no\r\nX-Sum: 2\r\n', 'TE: trailers'),
      );
      const { text } = await readChunked(client);
      t.regex(text, /^4\r\nbody\r\n0\r\n/);
      t.regex(text, /\r\nX-Later: yes\r\n/);
      t.true(text.includes('X-Came: [["X-Sum","1"],["X-Sum","2"]]\r\n'), text);
    },
  },
  {
    name: 'trailers are not sent to a client that does not want them',
    run: async (t, server) => {
      const client = await server.connect();
      void client.write(chunked('/trailers', ['body']));
      const { head, text } = await readChunked(client);
      t.is(text, '4\r\nbody\r\n0\r\n\r\n');
      t.notRegex(head, /Trailer:/i);
    },
  },
  {
    name: 'a body with bad framing is refused with 400',
    run: async (t, server) => {
      const key = newKey();
      const client = await server.connect();
      const head = `POST /body/fails?key=${key} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n`;
      const answer = await client.request(`${head}4\r\nbody\r\nzz\r\n`);
      t.is(answer.status, 400);
      client.halfClose();
      await client.closed;
      await server.noticed(key, 'WH_ERR_BAD_BODY');
    },
  },
  {
    name: 'who reads a body hears that the client has gone',
    run: async (t, server) => {
      const key = newKey();
      const client = await server.connect();
      await client.write(
        post(`/body/fails?key=${key}`, '').replace('Length: 0', 'Length: 9') + 'part',
      );
      await server.once(get('/hello'));
      await client.reset();
      await server.noticed(key, 'WH_ERR_REQUEST_ABORTED');
      t.deepEqual(await server.events(key), ['WH_ERR_REQUEST_ABORTED']);
    },
  },
];

/** A chunked answer as it stands on the wire: RawClient's parser takes no trailers. */
async function readChunked(
  client: Awaited<ReturnType<Parameters<Case['run']>[1]['connect']>>,
): Promise<{
  head: string;
  text: string;
}> {
  for (;;) {
    const all = client.peek().toString('latin1');
    const start = all.indexOf('\r\n\r\n') + 4;
    const text = all.slice(start);
    if (start > 3 && /(?:^|\r\n)0\r\n(?:[^\r]+\r\n)*\r\n$/.test(text)) {
      return { head: all.slice(0, start), text };
    }
    await client.change();
  }
}
