/** Leaving HTTP. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { get, type Case } from './case.js';

const WISH = ['Connection: keep-alive, Upgrade', 'Upgrade: echo'] as const;

export const upgradeCases: readonly Case[] = [
  {
    name: 'an upgrade gives the connection to the application',
    run: async (t, server) => {
      const client = await server.connect();
      void client.write(`${get('/upgrade', ...WISH)}first`);
      const answer = await client.answer();
      t.is(answer.status, 101);
      t.deepEqual(answer.headers.get('upgrade'), ['echo']);
      t.deepEqual(answer.headers.get('connection'), ['Upgrade']);
      t.deepEqual(answer.headers.get('x-own'), ['yes']);
      t.is((await client.bytes(5)).toString(), 'first');
      for (const text of ['a', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(300_000)]) {
        void client.write(text);
        t.is((await client.bytes(text.length)).toString(), text);
      }
      client.halfClose();
      t.is((await client.rest()).length, 0);
      t.is(await client.closed, 'end');
    },
  },
  {
    name: 'a wish to upgrade can be left unheard',
    run: async (t, server) => {
      const answer = await server.once(get('/upgrade/never', ...WISH));
      t.is(answer.status, 200);
      t.is(answer.text, 'true');
    },
  },
  {
    name: 'a wish to upgrade that comes with a body says nothing',
    run: async (t, server) => {
      const client = await server.connect();
      const fields = WISH.map((each) => `${each}\r\n`).join('');
      const head = `POST /upgrade/body HTTP/1.1\r\nHost: h\r\n${fields}Content-Length: 4\r\n\r\n`;
      t.is((await client.request(`${head}body`)).text, 'false body');
      t.is((await client.request(get('/hello'))).text, 'hello');
    },
  },
  {
    name: 'who asks for no upgrade gets none',
    run: async (t, server) => {
      t.is((await server.once(get('/upgrade'))).status, 500);
      const answer = await server.once(get('/websocket'));
      t.is(answer.status, 426);
      t.deepEqual(answer.headers.get('upgrade'), ['websocket']);
    },
  },
  {
    name: 'CONNECT that makes no tunnel is refused',
    run: async (t, server) => {
      const client = await server.connect();
      const answer = await client.request('CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n');
      t.true(answer.status >= 400);
      client.halfClose();
      await client.closed;
    },
  },
  {
    name: 'a WebSocket carries messages, and is told of the stop',
    run: async (t, server) => {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/websocket`);
      await once(socket, 'open');
      for (const text of ['one', 'x'.repeat(100_000)]) {
        socket.send(text);
        const [data] = (await once(socket, 'message')) as [Buffer];
        t.is(data.toString(), text);
      }
      const closed = once(socket, 'close') as Promise<[number]>;
      await server.stop();
      t.is((await closed)[0], 1001);
    },
  },
  {
    name: 'upgraded connections are limited',
    setup: { limits: { maxConcurrentUpgradedConnections: 1 } },
    run: async (t, server) => {
      const first = await server.connect();
      t.is((await first.request(get('/upgrade', ...WISH))).status, 101);
      t.is((await server.once(get('/upgrade', ...WISH))).status, 503);
    },
  },
];
