/** HTTP/2, by node:http2's client. */
import { once } from 'node:events';
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from 'node:http2';
import { connect } from 'node:http2';
import { text } from 'node:stream/consumers';
import { serverCertificate } from '../support/certificates.js';
import { newKey, type Case } from './case.js';
import type { Running } from './servers.js';

const { cert, key } = serverCertificate(['localhost']);

interface Answer {
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  readonly body: string;
  readonly interim: readonly IncomingHttpHeaders[];
  readonly trailers: IncomingHttpHeaders | undefined;
}

async function read(stream: ClientHttp2Stream): Promise<Answer> {
  const interim: IncomingHttpHeaders[] = [];
  let trailers: IncomingHttpHeaders | undefined;
  stream.on('headers', (headers) => interim.push(headers));
  stream.on('trailers', (headers) => {
    trailers = headers;
  });
  const [headers] = (await once(stream, 'response')) as [
    IncomingHttpHeaders & IncomingHttpStatusHeader,
  ];
  const body = await text(stream);
  return { headers, body, interim, trailers };
}

/** Runs with a session. */
async function within(
  server: Running,
  run: (
    ask: (headers: OutgoingHttpHeaders, body?: string) => Promise<Answer>,
    session: ClientHttp2Session,
  ) => Promise<void>,
): Promise<void> {
  const session = connect(server.url, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  try {
    await run((headers, body) => {
      const stream = session.request(headers);
      stream.end(body);
      return read(stream);
    }, session);
  } finally {
    session.destroy();
  }
}

export const http2Cases: readonly Case[] = [
  {
    name: 'HTTP/2 on cleartext beside HTTP/1.1, told by the first bytes',
    setup: { protocols: 'http1AndHttp2' },
    run: async (t, server) => {
      await within(server, async (ask) => {
        const answer = await ask({ ':path': '/request?q', 'x-own': 'yes', cookie: 'a=b' });
        const told = JSON.parse(answer.body) as { headers: [string, string][] };
        t.like(told, {
          protocol: 'HTTP/2',
          scheme: 'http',
          path: '/request',
          queryString: '?q',
          host: `127.0.0.1:${String(server.port)}`,
          hasBody: false,
          cookies: { a: 'b' },
        });
        t.true(told.headers.some(([name, value]) => name === 'x-own' && value === 'yes'));
        t.is(answer.headers['server'], 'windhover');
      });
      t.is(await (await fetch(`${server.url}/hello`)).text(), 'hello');
    },
  },
  {
    name: 'HTTP/2 with TLS, chosen by ALPN, with HTTP/1.1 for those who know no other',
    setup: { https: { cert, key } },
    run: async (t, server) => {
      await within(server, async (ask) => {
        const { body } = await ask({ ':path': '/tls' });
        t.is((JSON.parse(body) as { applicationProtocol: string }).applicationProtocol, 'h2');
      });
    },
  },
  {
    name: 'HTTP/2: bodies both ways, many at once',
    setup: { protocols: 'http2' },
    run: async (t, server) => {
      await within(server, async (ask) => {
        const bodies = Array.from({ length: 30 }, (_, i) => String(i).repeat(10_000 * (i % 5)));
        const answers = await Promise.all(
          bodies.map((body, i) =>
            ask({ ':path': i % 2 === 0 ? '/echo' : '/echo/stream', ':method': 'POST' }, body),
          ),
        );
        t.deepEqual(
          answers.map(({ body }) => body.length),
          bodies.map(({ length }) => length),
        );
        t.is((await ask({ ':path': '/stream/100' })).body.length, 100 * 16_384);
      });
    },
  },
  {
    name: 'HTTP/2: HEAD, 204, 304, failures, and bodies that are too large',
    setup: { protocols: 'http2', limits: { maxRequestBodySize: 10 } },
    run: async (t, server) => {
      await within(server, async (ask) => {
        const head = await ask({ ':path': '/echo', ':method': 'HEAD' });
        t.is(head.headers[':status'], 200);
        t.is(head.body, '');
        for (const status of [204, 304]) {
          const answer = await ask({ ':path': `/status/${String(status)}/text` });
          t.is(answer.headers[':status'], status);
          t.is(answer.body, '');
        }
        t.is((await ask({ ':path': '/fail/later' })).headers[':status'], 500);
        t.is((await ask({ ':path': '/hello' })).body, 'hello');
        const large = await ask({ ':path': '/echo', ':method': 'POST' }, 'x'.repeat(11));
        t.is(large.headers[':status'], 413);
        t.is((await ask({ ':path': '/hello' })).body, 'hello');
      });
    },
  },
  {
    name: 'HTTP/2: interim answers come before the answer',
    setup: { protocols: 'http2' },
    run: async (t, server) => {
      await within(server, async (ask) => {
        const { interim, body } = await ask({ ':path': '/early' });
        t.deepEqual(
          interim.map((each) => [each[':status'], each['link']]),
          [
            [103, '</a.css>; rel=preload'],
            [103, '</b.css>; rel=preload'],
          ],
        );
        t.is(body, 'late');
      });
    },
  },
  {
    name: 'HTTP/2: trailers of requests are read',
    setup: { protocols: 'http2' },
    run: async (t, server) => {
      await within(server, async (_ask, session) => {
        const stream = session.request(
          { ':path': '/trailers', ':method': 'POST', te: 'trailers' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => {
          stream.sendTrailers({ 'x-sum': '1' });
        });
        stream.end('body');
        t.is((await read(stream)).body, 'body');
      });
    },
  },
  {
    name: 'HTTP/2: trailers are sent behind the answer',
    setup: { protocols: 'http2' },
    run: async (t, server) => {
      await within(server, async (ask) => {
        const headers = { ':path': '/trailers', ':method': 'POST' };
        const { trailers, body } = await ask(headers, 'body');
        t.is(body, 'body');
        t.is(trailers?.['x-later'], 'yes');
      });
    },
  },
  {
    name: 'HTTP/2: an abort resets the stream alone, a client that resets is noticed',
    setup: { protocols: 'http1AndHttp2' },
    run: async (t, server) => {
      await within(server, async (ask, session) => {
        await t.throwsAsync(ask({ ':path': '/abort' }));
        t.is((await ask({ ':path': '/hello' })).body, 'hello');
        const key = newKey();
        const stream = session.request({ ':path': `/hang?key=${key}` });
        stream.on('error', () => undefined);
        await server.noticed(key, 'entered');
        stream.close(8);
        await server.noticed(key, 'aborted');
        t.is((await ask({ ':path': '/hello' })).body, 'hello');
      });
    },
  },
  {
    name: 'HTTP/2: an application resets a stream with a code of its own',
    setup: { protocols: 'http2' },
    run: async (t, server) => {
      await within(server, async (ask, session) => {
        const stream = session.request({ ':path': '/reset/8' });
        stream.on('error', () => undefined);
        await once(stream, 'close');
        t.is(stream.rstCode, 8);
        t.is((await ask({ ':path': '/hello' })).body, 'hello');
      });
    },
  },
  {
    name: 'HTTP/2: a stop lets requests end',
    setup: { protocols: 'http1AndHttp2' },
    run: async (t, server) => {
      await within(server, async (_ask, session) => {
        const key = newKey();
        const answer = read(session.request({ ':path': `/hang?key=${key}` }));
        await server.noticed(key, 'entered');
        const helper = await server.connect();
        await helper.request('GET /hello HTTP/1.1\r\nHost: h\r\n\r\n');
        const stopped = server.stop();
        await helper.request(`GET /release?key=${key} HTTP/1.1\r\nHost: h\r\n\r\n`);
        t.is((await answer).body, 'let go');
        await stopped;
      });
    },
  },
];
