/** Streams beside each other: their order, their number, and how each ends alone. */
import { Setting, headers, rstStream } from '../../support/h2/frames.js';
import { block } from '../../support/h2/hpack.js';
import { overBoth } from '../../support/h2/server.js';
import { alive } from '../../support/h2/verdicts.js';
import { captureErrors } from '../../support/quiet-console.js';
import type { Deferred } from '../../support/until.js';
import { deferred, until, within } from '../../support/until.js';

captureErrors();

overBoth('answers come in the order in which they are ready', async (t, start) => {
  const gates = new Map<string, Deferred<void>>();
  const { open } = await start(async ({ request, response }) => {
    const gate = deferred();
    gates.set(request.path, gate);
    await gate.promise;
    await response.text(request.path);
  });
  const client = await open();
  const ids = ['/a', '/b', '/c', '/d'].map((path) => client.request(client.get(path)));
  await until(() => gates.size === 4, 'all of them run');
  for (const i of [2, 0, 3, 1]) {
    gates.get(`/${'abcd'[i]}`)?.resolve();
    t.is((await client.response(ids[i])).text, `/${'abcd'[i]}`);
  }
});

overBoth('a hundred requests in one write are each answered', async (t, start) => {
  const { open } = await start(({ request, response }) => response.text(request.path));
  const client = await open();
  for (let round = 0; round < 5; round++) {
    const ids = Array.from({ length: 100 }, () => client.nextId());
    client.send(
      ...ids.map((id) => headers(id, block(client.get(`/${String(id)}`)), { endStream: true })),
    );
    const answers = await Promise.all(ids.map((id) => client.response(id)));
    t.deepEqual(
      answers.map(({ text }) => text),
      ids.map((id) => `/${String(id)}`),
    );
  }
  await alive(client);
});

overBoth('one stream more than the limit is refused, and runs no handler', async (t, start) => {
  const gate = deferred();
  let ran = 0;
  const { open } = await start(
    async ({ response }) => {
      ran++;
      await gate.promise;
      await response.text('done');
    },
    { limits: { http2: { maxStreamsPerConnection: 10 } } },
  );
  const client = await open();
  t.is(client.serverSettings.get(Setting.MAX_CONCURRENT_STREAMS), 10);
  const ids = Array.from({ length: 15 }, () => client.request(client.get()));
  for (const id of ids.slice(10)) t.is(await client.takeReset(id), 'REFUSED_STREAM');
  await alive(client);
  t.is(ran, 10);
  gate.resolve();
  for (const id of ids.slice(0, 10)) t.is((await client.response(id)).text, 'done');
  t.is((await client.fetch(client.get())).text, 'done', 'there is room again');
});

overBoth('RST_STREAM of the client aborts the signal of its request alone', async (t, start) => {
  const aborted: string[] = [];
  const gate = deferred();
  let running = 0;
  const { open, reported, metrics } = await start(async (context) => {
    const { path } = context.request;
    context.requestAborted.addEventListener('abort', () => aborted.push(path));
    running++;
    await gate.promise;
    // To a stream that is gone this goes nowhere, and fails nobody.
    await context.response.text(path);
  });
  const client = await open();
  const ids = ['/a', '/b', '/c'].map((path) => client.request(client.get(path)));
  await until(() => running === 3, 'all of them run');
  client.send(rstStream(ids[1], 'CANCEL'));
  await until(() => aborted.length > 0, 'the signal');
  t.deepEqual(aborted, ['/b']);
  gate.resolve();
  t.is((await client.response(ids[0])).text, '/a');
  t.is((await client.response(ids[2])).text, '/c');
  await until(() => metrics().activeRequests === 0, 'all of them are over');
  await alive(client);
  t.deepEqual(aborted, ['/b']);
  t.deepEqual(reported, []);
  t.false(client.has((frame) => 'streamId' in frame && frame.streamId === ids[1]));
});

overBoth('the end of a connection aborts all of its requests', async (t, start) => {
  let running = 0;
  let aborted = 0;
  const { open, metrics } = await start(async ({ requestAborted }) => {
    running++;
    const gone = deferred();
    requestAborted.addEventListener('abort', () => {
      aborted++;
      gone.resolve();
    });
    await gone.promise;
  });
  const client = await open();
  for (let i = 0; i < 5; i++) client.request(client.get());
  await until(() => running === 5, 'all of them run');
  client.reset();
  await until(() => aborted === 5 && metrics().activeRequests === 0, 'all of them are over');
  t.is(aborted, 5);
});

overBoth('a request that the application aborts is reset with INTERNAL_ERROR', async (t, start) => {
  const { open } = await start(async (context) => {
    if (context.request.path === '/begun') await context.response.write('some');
    if (context.request.path !== '/') context.abort();
    else await context.response.text('well');
  });
  const client = await open();
  for (const path of ['/at-once', '/begun']) {
    const id = client.request(client.get(path));
    t.is((await client.response(id)).reset, 'INTERNAL_ERROR', path);
  }
  await alive(client);
  t.is((await client.fetch(client.get())).text, 'well');
});

overBoth(
  'a writer that waits for a window is let go when the stream is reset',
  async (t, start) => {
    const done = deferred();
    const { open, reported } = await start(async ({ response }) => {
      for (let i = 0; i < 20; i++) await response.write(Buffer.alloc(1_000_000));
      done.resolve();
    });
    const client = await open({ settings: [[Setting.INITIAL_WINDOW_SIZE, 10]], autoWindow: false });
    const id = client.request(client.get());
    await client.takeData(id);
    client.send(rstStream(id, 'CANCEL'));
    await within(done.promise, 'the writer');
    await alive(client);
    t.deepEqual(reported, []);
  },
);

overBoth('streams that are opened and reset at once leave nothing behind', async (t, start) => {
  const { open, metrics } = await start(async ({ response }) => {
    await response.text('hello');
  });
  const client = await open();
  for (let i = 0; i < 15; i++) {
    const id = client.request(client.get());
    client.send(rstStream(id, 'CANCEL'));
  }
  await client.ping();
  t.is((await client.fetch(client.get())).text, 'hello');
  await until(() => metrics().activeRequests === 0, 'all of them are over');
});
