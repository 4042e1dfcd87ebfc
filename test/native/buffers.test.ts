/** Large bodies are sent from where they are: what becomes of that memory meanwhile is the program's doing. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const LARGE = 8 * 1_048_576;

/** Hands a large body to a client that does not read, then lets something happen to the memory. */
const FATES: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  'transferred at once': (bytes) =>
    structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] }),
  'transferred to a port': (bytes) => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(bytes, [bytes.buffer as ArrayBuffer]);
    port1.close();
    port2.close();
  },
  'shrunk to nothing': (bytes) => {
    (bytes.buffer as unknown as { resize?: (length: number) => void }).resize?.(0);
  },
  'shrunk a little': (bytes) => {
    (bytes.buffer as unknown as { resize?: (length: number) => void }).resize?.(LARGE - 1);
  },
  'forgotten and collected': () => {
    (globalThis as { gc?: () => void }).gc?.();
  },
};

/** What Node has, and its types have not. */
interface WithWebAssembly {
  readonly WebAssembly: {
    readonly Memory: new (options: { initial: number }) => { readonly buffer: ArrayBuffer };
  };
}

/** Memory of a size, which may be resizable where this Node has that. */
function allocate(size: number): Uint8Array {
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer;
  return new Uint8Array(new Resizable(size, { maxByteLength: size })).fill(120);
}

for (const [fate, happen] of Object.entries(FATES)) {
  for (const way of ['bytes', 'write'] as const) {
    for (const when of ['at once', 'while it is being sent'] as const) {
      test.serial(`${way}: memory that is ${fate}, ${when}`, async (t) => {
        let bytes: Uint8Array | undefined;
        const { connect, once, metrics } = await startServer(t, async ({ request, response }) => {
          if (request.path === '/healthy') return response.text('healthy');
          bytes = allocate(LARGE);
          const sent = response[way](bytes);
          if (when === 'at once') happen(bytes);
          return sent;
        });
        const client = await connect();
        if (when !== 'at once') client.pause();
        void client.write(GET);
        if (when !== 'at once') {
          await until(() => metrics().pinnedBuffers === 1, 'the body waits');
          await delay(5);
          if (bytes !== undefined) happen(bytes);
          client.resume();
        }
        const answer = await client.answer().catch(() => undefined);
        // All of it or recognisably not all of it; and nothing but what was given.
        if (answer !== undefined) {
          t.is(answer.body.length, LARGE);
          t.true(answer.body.equals(Buffer.alloc(LARGE, 'x')));
        }
        const seen = client.peek();
        const start = seen.indexOf('\r\n\r\n') + 4;
        t.regex(seen.subarray(start).toString('latin1'), /^([0-9a-f]+\r\n)?x*$/);
        t.is((await once('GET /healthy HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'healthy');
        await until(() => metrics().pinnedBuffers === 0, 'nothing is held');
      });
    }
  }
}

test.serial('memory of every kind is sent', async (t) => {
  const size = 50_000;
  const kinds: Readonly<Record<string, () => Uint8Array>> = {
    Buffer: () => Buffer.alloc(size, 'x'),
    'Buffer of the pool': () => Buffer.from('x'.repeat(100)),
    Uint8Array: () => new Uint8Array(size).fill(120),
    'a part of an ArrayBuffer': () => new Uint8Array(new ArrayBuffer(size * 2), 7, size).fill(120),
    'a SharedArrayBuffer': () => new Uint8Array(new SharedArrayBuffer(size)).fill(120),
    'a resizable ArrayBuffer': () => allocate(size),
    'WebAssembly memory': () =>
      new Uint8Array(
        new (globalThis as unknown as WithWebAssembly).WebAssembly.Memory({ initial: 1 }).buffer,
      ).fill(120),
    'a subclass': () => new (class extends Uint8Array {})(size).fill(120),
    nothing: () => new Uint8Array(0),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    for (const way of ['bytes', 'write'] as const) {
      const { once } = await startServer(t, ({ response }) => response[way](make()));
      const answer = await once(GET);
      t.true(answer.body.equals(Buffer.from(make())), `${way} of ${kind}`);
    }
  }
});

test.serial('a body that is written over while it is sent arrives in its length', async (t) => {
  const { connect, metrics } = await startServer(t, async ({ response }) => {
    const bytes = Buffer.alloc(LARGE, 'x');
    setTimeout(() => bytes.fill('y'), 5);
    await response.bytes(bytes);
  });
  const client = await connect();
  client.pause();
  void client.write(GET);
  await until(() => metrics().pinnedBuffers === 1, 'the body waits');
  await delay(10);
  client.resume();
  const { body } = await client.answer();
  t.is(body.length, LARGE);
  t.regex(body.toString('latin1'), /^x+y+$/);
});

test.serial('a thousand large bodies held at once are given back', async (t) => {
  const { port, metrics } = await startServer(t, ({ response }: HttpContext) =>
    response.bytes(Buffer.alloc(200_000)),
  );
  const clients: RawClient[] = [];
  for (let i = 0; i < 50; i++) {
    const client = await RawClient.connect(port);
    client.pause();
    void client.write(GET.repeat(60));
    clients.push(client);
  }
  await until(() => metrics().pinnedBuffers > 1000, 'a thousand bodies wait');
  await Promise.all(
    clients.map(async (client, i) => {
      if (i % 2 === 0) {
        await client.reset();
        return;
      }
      client.resume();
      for (let k = 0; k < 60; k++) t.is((await client.answer()).body.length, 200_000);
      client.destroy();
    }),
  );
  await until(() => metrics().pinnedBuffers === 0, 'all of them are given back');
});

test.serial('a server that is stopped by force lets go of what waits', async (t) => {
  const { connect, server, metrics } = await startServer(t, ({ response }) =>
    response.bytes(Buffer.alloc(LARGE)),
  );
  const client = await connect();
  client.pause();
  void client.write(GET);
  await until(() => metrics().pinnedBuffers === 1, 'the body waits');
  await server.stop(AbortSignal.abort());
  client.resume();
  await client.closed;
  t.is(server.metrics().connections, 0);
});

test.serial(
  'more than four gigabytes at once are refused, not sent with a wrong length',
  async (t) => {
    let huge: Uint8Array;
    try {
      huge = new Uint8Array(2 ** 32); // takes no memory until somebody looks
    } catch {
      t.log('skipped: no room for so large an array');
      t.pass();
      return;
    }
    const { connect, reported } = await startServer(t, ({ request, response }) =>
      request.path === '/bytes' ? response.bytes(huge) : response.write(huge),
    );
    for (const path of ['/bytes', '/write']) {
      const client = await connect();
      await t.throwsAsync(client.request(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`), {
        message: /cut an answer short/,
      });
    }
    t.deepEqual(
      reported.map((error) => (error as { code?: unknown }).code),
      ['WH_ERR_INVALID_ARGUMENT', 'WH_ERR_INVALID_ARGUMENT'],
    );
  },
);
