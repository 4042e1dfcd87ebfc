/** Failures, clients that go away, and the end of the server. */
import { get, newKey, type Case } from './case.js';

export const endCases: readonly Case[] = [
  {
    name: 'a failure before the start answers 500, and the connection goes on',
    run: async (t, server) => {
      const client = await server.connect();
      for (const path of ['/fail', '/fail/later', '/fail/starting']) {
        const answer = await client.request(get(path));
        t.is(answer.status, 500, path);
        t.is(answer.text, '500 Internal Server Error\n');
        t.deepEqual(answer.headers.get('cache-control'), ['no-store']);
      }
      t.is((await client.request(get('/hello'))).text, 'hello');
    },
  },
  {
    name: 'a failure after the start cuts the answer off',
    run: async (t, server) => {
      const client = await server.connect();
      await t.throwsAsync(client.request(get('/fail/started')), { message: /cut an answer short/ });
    },
  },
  {
    name: 'an abort resets the connection',
    run: async (t, server) => {
      const client = await server.connect();
      void client.write(get('/abort'));
      t.is(await client.closed, 'reset');
    },
  },
  {
    name: 'a handler hears that its client has gone',
    run: async (t, server) => {
      const key = newKey();
      const client = await server.connect();
      void client.write(get(`/hang?key=${key}`));
      await server.noticed(key, 'entered');
      await client.reset();
      await server.noticed(key, 'left');
      t.deepEqual(await server.events(key), ['entered', 'aborted', 'left']);
    },
  },
  {
    name: 'a client that ends its side still gets its answer',
    run: async (t, server) => {
      for (const target of ['/hello', '/fail/later', '/stream/10']) {
        const client = await server.connect();
        await client.write(get(target));
        client.halfClose();
        t.true((await client.answer()).status >= 200);
        t.is(await client.closed, 'end');
      }
    },
  },
  {
    name: 'a request that is answered is not aborted when its client goes',
    run: async (t, server) => {
      const key = newKey();
      const client = await server.connect();
      void client.write(get(`/hang?key=${key}`));
      await server.noticed(key, 'entered');
      await server.release(key);
      t.is((await client.answer()).text, 'let go');
      await client.reset();
      await server.noticed(key, 'left');
      t.deepEqual(await server.events(key), ['entered', 'left']);
    },
  },
  {
    name: 'a head that does not come in time is answered 408',
    setup: { limits: { requestHeadersTimeout: 300 } },
    alone: true,
    run: async (t, server) => {
      const client = await server.connect();
      void client.write('GET /hello HTTP/1.1\r\nHo');
      t.is((await client.answer()).status, 408);
      client.halfClose();
      await client.closed;
    },
  },
  {
    name: 'an idle connection is ended in time',
    setup: { limits: { keepAliveTimeout: 200 } },
    alone: true,
    run: async (t, server) => {
      const client = await server.connect();
      t.is((await client.request(get('/hello'))).text, 'hello');
      t.is(await client.closed, 'end');
    },
  },
  {
    name: 'a request that takes too long is answered 504',
    setup: { limits: { requestTimeout: 200 } },
    alone: true,
    run: async (t, server) => {
      const key = newKey();
      t.is((await server.once(get(`/hang?key=${key}`))).status, 504);
      await server.noticed(key, 'aborted');
    },
  },
  {
    name: 'one connection too many is answered 503',
    setup: { limits: { maxConcurrentConnections: 1 } },
    run: async (t, server) => {
      const client = await server.connect();
      t.is((await client.request(get('/hello'))).text, 'hello');
      const other = await server.connect();
      const answer = await other.request(get('/hello'));
      t.is(answer.status, 503);
      t.deepEqual(answer.headers.get('retry-after'), ['5']);
      t.is((await client.request(get('/hello'))).text, 'hello');
    },
  },
  {
    name: 'a stop lets requests end, says that their connections do, and closes idle ones',
    run: async (t, server) => {
      const key = newKey();
      const [busy, idle] = [await server.connect(), await server.connect()];
      await idle.request(get('/hello'));
      void busy.write(get(`/hang?key=${key}`));
      await server.noticed(key, 'entered');
      // Made before the stop: nobody new is let in.
      const helper = await server.connect();
      await helper.request(get('/hello'));
      let isStopped = false;
      const stopped = server.stop().then(() => {
        isStopped = true;
      });
      const released = await helper.request(get(`/release?key=${key}`));
      t.deepEqual(released.headers.get('connection'), ['close']);
      t.false(isStopped);
      const answer = await busy.answer();
      t.is(answer.text, 'let go');
      t.deepEqual(answer.headers.get('connection'), ['close']);
      t.is(await idle.closed, 'end');
      await stopped;
      await t.throwsAsync(fetch(server.url));
    },
  },
  {
    name: 'a stop aborts what is left when its time is over',
    setup: { shutdownTimeout: 300 },
    alone: true,
    run: async (t, server) => {
      const client = await server.connect();
      const key = newKey();
      void client.write(get(`/hang?key=${key}`));
      await server.noticed(key, 'entered');
      await server.stop();
      t.is(await client.closed, 'reset');
    },
  },
  {
    name: 'a stop under load loses no request that was let in',
    run: async (t, server) => {
      let isStopping = false;
      let answered = 0;
      const load = async (): Promise<void> => {
        const client = await server.connect();
        for (;;) {
          const answer = await client.request(get('/hello'));
          t.is(answer.text, 'hello');
          answered++;
          if (answer.headers.get('connection')?.[0] === 'close') {
            t.true(isStopping);
            t.is(await client.closed, 'end');
            return;
          }
        }
      };
      const clients = Array.from({ length: 20 }, load);
      while (answered < 200) await new Promise(setImmediate);
      isStopping = true;
      await Promise.all([server.stop(), ...clients]);
    },
  },
];
