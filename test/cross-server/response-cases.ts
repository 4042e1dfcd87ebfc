/** Answers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { get, newKey, type Case } from './case.js';

const folder = mkdtempSync(join(tmpdir(), 'windhover-cross-'));
const file = join(folder, 'file');
const large = join(folder, 'large');
const LARGE = 3_000_000;
writeFileSync(file, 'the file');
writeFileSync(large, Buffer.alloc(LARGE, 'f'));
process.once('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});

export const responseCases: readonly Case[] = [
  {
    name: 'fields of the application go out as they were set; persistence is the server’s',
    run: async (t, server) => {
      const client = await server.connect();
      const { headers } = await client.request(get('/headers'));
      t.deepEqual(headers.get('set-cookie'), ['a=1', 'b=2']);
      t.deepEqual(headers.get('date'), ['Thu, 01 Jan 1970 00:00:00 GMT']);
      t.deepEqual(headers.get('server'), ['mine']);
      t.deepEqual(headers.get('connection'), ['X-Hop']);
      t.is((await client.request(get('/hello'))).text, 'hello');
    },
  },
  {
    name: 'a reason phrase of the application goes out',
    run: async (t, server) => {
      const answer = await server.once(get('/status/299/text'));
      t.deepEqual([answer.status, answer.reason, answer.text], [299, 'As You Like', 'text']);
    },
  },
  {
    name: 'an answer that says so ends the connection',
    run: async (t, server) => {
      for (const request of [get('/close'), get('/hello', 'Connection: close')]) {
        const client = await server.connect();
        const answer = await client.request(request);
        t.deepEqual(answer.headers.get('connection'), ['close']);
        t.is(await client.closed, 'end');
      }
    },
  },
  {
    name: 'HEAD gets the head that GET would get',
    run: async (t, server) => {
      const client = await server.connect();
      const ask = async (target: string): Promise<Awaited<ReturnType<typeof client.answer>>> =>
        client.request(get(target).replace('GET', 'HEAD'), 'HEAD');
      const hello = await ask('/echo');
      t.is(hello.status, 200);
      t.deepEqual(hello.headers.get('content-length'), ['0']);
      t.is(hello.body.length, 0);
      const sent = await ask(`/file?path=${file}`);
      t.deepEqual(sent.headers.get('content-length'), ['8']);
      t.is((await client.request(get('/hello'))).text, 'hello');
    },
  },
  {
    name: '204, 205 and 304 have no body',
    run: async (t, server) => {
      const client = await server.connect();
      for (const status of [204, 205, 304]) {
        const answer = await client.request(get(`/status/${String(status)}`));
        t.is(answer.status, status);
        t.is(answer.body.length, 0);
        t.deepEqual(answer.headers.get('x-status'), ['set']);
        t.false(answer.headers.has('transfer-encoding'));
        t.is(answer.headers.has('content-length'), status === 205, String(status));
      }
      t.is((await client.request(get('/status/404'))).status, 404);
      t.deepEqual((await client.request(get('/status/200'))).headers.get('content-length'), ['0']);
    },
  },
  {
    name: 'a status without a body takes none, whatever is sent',
    run: async (t, server) => {
      const client = await server.connect();
      for (const status of [204, 304]) {
        t.is((await client.request(get(`/status/${String(status)}/text`))).body.length, 0);
      }
      t.is((await client.request(get('/hello'))).text, 'hello');
    },
  },
  {
    name: 'an answer of unknown length is chunked',
    run: async (t, server) => {
      const client = await server.connect();
      for (let i = 0; i < 2; i++) {
        const answer = await client.request(get('/stream/40'));
        t.is(answer.framing, 'chunked');
        t.is(answer.body.length, 40 * 16_384);
      }
    },
  },
  {
    name: 'who writes waits for a client that does not read, and goes on with it',
    run: async (t, server) => {
      const key = newKey();
      const client = await server.connect();
      client.pause();
      void client.write(get(`/stream/2000?key=${key}`));
      await server.noticed(key, 'full');
      let before = -1;
      for (let count = 0; count !== before;) {
        before = count;
        for (let i = 0; i < 20; i++) await server.events(key); // it has the time to go on
        count = (await server.events(key)).length;
      }
      t.true(before < 2000, 'it waits');
      client.resume();
      t.is((await client.answer()).body.length, 2000 * 16_384);
      await server.noticed(key, 'done');
    },
  },
  {
    name: 'a Content-Length that is not kept: too little cuts the answer, too much is an error',
    run: async (t, server) => {
      t.is((await server.once(get('/length/5/5'))).text, 'xxxxx');
      t.is((await server.once(get('/length/4/5'))).status, 500);
      const client = await server.connect();
      await t.throwsAsync(client.request(get('/length/6/5')), { message: /cut an answer short/ });
    },
  },
  {
    name: 'interim answers come before the answer',
    run: async (t, server) => {
      const client = await server.connect();
      void client.write(get('/early'));
      for (const link of ['</a.css>; rel=preload', '</b.css>; rel=preload']) {
        const interim = await client.answer();
        t.is(interim.status, 103);
        t.deepEqual(interim.headers.get('link'), [link]);
      }
      t.is((await client.answer()).text, 'late');
    },
  },
  {
    name: 'a file is sent, whole and in part, however large',
    run: async (t, server) => {
      const client = await server.connect();
      const whole = await client.request(get(`/file?path=${file}`));
      t.is(whole.text, 'the file');
      t.deepEqual(whole.headers.get('content-length'), ['8']);
      const part = await client.request(get(`/file?path=${file}&offset=4&count=2`));
      t.is(part.text, 'fi');
      const big = await client.request(get(`/file?path=${large}`));
      t.is(big.body.length, LARGE);
      t.is((await client.request(get(`/file?path=${file}x`))).status, 500);
      t.is((await client.request(get(`/file?path=${folder}`))).status, 500);
    },
  },
  {
    name: 'what is written behind a file follows it, waited for or not',
    run: async (t, server) => {
      const answer = await server.once(get(`/file/behind?path=${file}`));
      t.is(answer.text, 'before the  behind');
    },
  },
  {
    name: 'what was registered last runs first, before the start and after the end',
    run: async (t, server) => {
      const key = newKey();
      const answer = await server.once(get(`/order?key=${key}`));
      t.deepEqual(answer.headers.get('x-order'), ['two,one']);
      t.is(answer.text, 'ordered');
      await server.noticed(key, 'one');
      t.deepEqual(await server.events(key), ['two', 'one']);
    },
  },
];
