/** What the application learns of a request. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawClient } from '../support/raw-client.js';
import { get, type Case } from './case.js';

interface Told {
  readonly [name: string]: unknown;
  readonly headers: readonly (readonly [string, string])[];
}

const folder = mkdtempSync(join(tmpdir(), 'windhover-cross-'));
process.once('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});
let sockets = 0;

export const requestCases: readonly Case[] = [
  {
    name: 'says hello, several times on one connection',
    run: async (t, server) => {
      const client = await server.connect();
      for (let i = 0; i < 3; i++) {
        const answer = await client.request(get('/hello'));
        t.is(answer.status, 200);
        t.is(answer.text, 'hello');
        t.deepEqual(answer.headers.get('content-type'), ['text/plain; charset=utf-8']);
        t.deepEqual(answer.headers.get('content-length'), ['5']);
        t.deepEqual(answer.headers.get('server'), ['windhover']);
        t.is(answer.headers.get('date')?.length, 1);
      }
    },
  },
  {
    name: 'tells method, target, query, host, fields and cookies as they were sent',
    run: async (t, server) => {
      const answer = await server.once(
        get('/request?a=1&b=%20', 'X-Twice: one', 'x-twice: two', 'Cookie: a=b; c=d'),
      );
      const told = JSON.parse(answer.text) as Told;
      t.like(told, {
        method: 'GET',
        scheme: 'http',
        protocol: 'HTTP/1.1',
        host: 'h',
        pathBase: '',
        path: '/request',
        queryString: '?a=1&b=%20',
        rawTarget: '/request?a=1&b=%20',
        hasBody: false,
        cookies: { a: 'b', c: 'd' },
      });
      t.deepEqual(told.headers, [
        ['Host', 'h'],
        ['X-Twice', 'one'],
        ['x-twice', 'two'],
        ['Cookie', 'a=b; c=d'],
      ]);
    },
  },
  {
    name: 'reads a target in absolute form',
    run: async (t, server) => {
      const told = JSON.parse((await server.once(get('http://h/request?x'))).text) as Told;
      t.like(told, { path: '/request', queryString: '?x', rawTarget: 'http://h/request?x' });
    },
  },
  {
    name: 'reads field values as UTF-8',
    run: async (t, server) => {
      const value = Buffer.from('grüße').toString('latin1');
      const told = JSON.parse(
        (await server.once(get('/request', `X-Text: ${value}`))).text,
      ) as Told;
      t.deepEqual(told.headers[1], ['X-Text', 'grüße']);
    },
  },
  {
    name: 'decodes the path once, and keeps what divides nothing',
    run: async (t, server) => {
      const client = await server.connect();
      for (const [target, path] of [
        ['/path/caf%C3%A9', '/path/café'],
        ['/path/a%2Fb', '/path/a%2Fb'],
        ['/path/%2525', '/path/%25'],
        ['/path/a/../b', '/path/b'],
        ['/path/./c/', '/path/c/'],
        ['/path/%2e%2e/path/d', '/path/d'],
        ['/path/%ff%41', '/path/%ffA'],
        ['/path/%C3%A9%2F%E2%82%AC', '/path/é%2F€'],
        ['/path/%ED%A0%80', '/path/%ED%A0%80'],
        ['/path/a//b', '/path/a//b'],
        ['/path/..', undefined],
      ] as const) {
        const answer = await client.request(get(target));
        if (path === undefined) t.is(answer.status, 404, target);
        else t.is(answer.text, path, target);
      }
    },
  },
  {
    name: 'refuses what is no request, with its status, and ends the connection',
    run: async (t, server) => {
      for (const [bytes, status] of [
        ['GET /hello\r\n\r\n', 400],
        ['GET /hello HTTP/1.1\r\n\r\n', 400],
        [get('/hello', 'Host: other'), 400],
        [get('/a b'), 400],
        [get('/%zz'), 400],
        [get('/%00'), 400],
        [get('/"'), 400],
        ['GET /hello HTTP/2.0\r\nHost: h\r\n\r\n', 505],
        [get('*'), 405],
        [get('http://other/hello'), 400],
        [get('/hello', ': x'), 400],
        [get('/hello', 'X y: z'), 400],
        [get(`/${'x'.repeat(8_200)}`), 414],
        [get('/hello', `X-Long: ${'x'.repeat(32_800)}`), 431],
        [get('/hello', ...Array.from({ length: 101 }, (_, i) => `X-${String(i)}: 1`)), 431],
        [get('/hello', 'Expect: nothing'), 417],
        ['POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n', 400],
        ['POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
        [
          'POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
          400,
        ],
      ] as const) {
        const client = await server.connect();
        const answer = await client.request(bytes);
        t.is(answer.status, status, bytes.slice(0, 80));
        t.deepEqual(answer.headers.get('connection'), ['close']);
        client.halfClose();
        await client.closed;
      }
    },
  },
  {
    name: 'a target that is an authority is for CONNECT alone: 405',
    run: async (t, server) => {
      const answer = await server.once(get('hello:80'));
      t.is(answer.status, 405);
    },
  },
  {
    name: 'answers pipelined requests in their order',
    run: async (t, server) => {
      const client = await server.connect();
      void client.write(get('/path/1') + get('/path/2') + get('/early') + get('/path/3'));
      t.is((await client.answer()).text, '/path/1');
      t.is((await client.answer()).text, '/path/2');
      t.is((await client.answer()).status, 103);
      t.is((await client.answer()).status, 103);
      t.is((await client.answer()).text, 'late');
      t.is((await client.answer()).text, '/path/3');
    },
  },
  {
    name: 'HTTP/1.0 is spoken, and its connections end',
    run: async (t, server) => {
      const client = await server.connect();
      const answer = await client.request('GET /hello HTTP/1.0\r\n\r\n');
      t.is(answer.text, 'hello');
      t.is(await client.closed, 'end');
    },
  },
  {
    name: 'a branch has its part of the path as path base',
    run: async (t, server) => {
      t.is((await server.once(get('/base/where'))).text, '["/base","/where"]');
    },
  },
  {
    name: 'tells who is at the ends of a connection',
    run: async (t, server) => {
      const client = await server.connect();
      const ask = async (): Promise<Told> =>
        JSON.parse((await client.request(get('/connection'))).text) as Told;
      const [first, second] = [await ask(), await ask()];
      t.like(first, {
        remoteAddress: '127.0.0.1',
        remotePort: client.socket.localPort,
        localAddress: '127.0.0.1',
        localPort: server.port,
      });
      t.is(first['id'], second['id']);
      t.is(first['traceIdentifier'], `${String(first['id'])}:00000001`);
      t.is(second['traceIdentifier'], `${String(first['id'])}:00000002`);
    },
  },
  {
    name: 'the addresses are those really bound',
    run: async (t, server) => {
      t.deepEqual(server.addresses, [`http://127.0.0.1:${String(server.port)}`]);
      t.true(server.port > 0);
      t.is(await (await fetch(`${server.addresses[0]}/hello`)).text(), 'hello');
    },
  },
  {
    name: 'several endpoints: localhost, every address, a Unix socket',
    setup: () => ({
      endpoints: [
        { url: 'http://localhost:0' },
        { host: '*', port: 0 },
        { path: join(folder, `${String(++sockets)}.sock`), mode: 0o600 },
      ],
    }),
    run: async (t, server) => {
      const [local, all, unix] = server.addresses;
      t.regex(local, /^http:\/\/localhost:[1-9]\d*$/);
      t.regex(all, /^http:\/\/(\[::\]|0\.0\.0\.0):[1-9]\d*$/);
      t.regex(unix, /^http:\/\/unix:\/.*\.sock$/);
      const path = unix.slice('http://unix:'.length);
      t.is(statSync(path).mode & 0o777, 0o600);
      t.is(await (await fetch(`${local}/hello`)).text(), 'hello');
      t.is(await (await fetch(`http://127.0.0.1:${new URL(all).port}/hello`)).text(), 'hello');
      const client = await RawClient.connect({ path });
      const told = JSON.parse((await client.request(get('/connection'))).text) as Told;
      t.is(told['remoteAddress'], undefined);
      t.is(told['remotePort'], 0);
      client.destroy();
      await server.stop();
      await t.throwsAsync(RawClient.connect({ path }));
    },
  },
];
