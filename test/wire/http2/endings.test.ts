/** How connections end: by a stop, by a client that goes, by time; and no request is lost with them. */
import { setTimeout as delay } from 'node:timers/promises';
import { H2Client } from '../../support/h2-client.js';
import { data, goaway, headers } from '../../support/h2/frames.js';
import { block } from '../../support/h2/hpack.js';
import type { Received } from '../../support/h2/received.js';
import { overBoth } from '../../support/h2/server.js';
import { captureErrors } from '../../support/quiet-console.js';
import { deferred, until, within } from '../../support/until.js';

captureErrors();

/** The last stream id of a GOAWAY that says only that there will be another one. */
const SOON = 2 ** 31 - 1;

/** Stops without waiting for requests that may still come. */
const SHORT = { shutdown: { drainWindow: 50 } };

overBoth('a stop ends an idle connection with GOAWAY', async (t, start) => {
  const { open, server } = await start(({ response }) => response.text('hello'), SHORT);
  const used = await open();
  const unused = await open();
  t.is((await used.fetch(used.get())).text, 'hello');
  const stopped = server.stop();
  for (const [client, last] of [
    [used, 1],
    [unused, 0],
  ] as const) {
    t.is(await client.ended(), 'end');
    const goaways = client.seen.filter((frame) => frame.type === 'GOAWAY');
    t.true(goaways.every((frame) => frame.type === 'GOAWAY' && frame.code === 'NO_ERROR'));
    const final = goaways.at(-1);
    t.is(final?.type === 'GOAWAY' ? final.lastStreamId : undefined, last);
  }
  await within(stopped, 'the stop');
});

overBoth('a stop lets what runs finish: GOAWAY, the rest, GOAWAY, the end', async (t, start) => {
  const gate = deferred();
  let running = 0;
  const { open, server } = await start(
    async ({ request, response }) => {
      running++;
      await gate.promise;
      await response.text(request.path);
    },
    { shutdown: { drainWindow: 2000 } },
  );
  const client = await open();
  const ids = ['/a', '/b'].map((path) => client.request(client.get(path)));
  await until(() => running === 2, 'both run');
  const stopped = server.stop();
  const first = await client.takeGoaway();
  t.is(first.code, 'NO_ERROR');
  t.is(first.lastStreamId, SOON);
  // Was under way when the server said so; the drain window is for such.
  const late = client.request(client.get('/late'));
  await client.ping();
  gate.resolve();
  t.is((await client.response(ids[0])).text, '/a');
  t.is((await client.response(ids[1])).text, '/b');
  t.is((await client.response(late)).text, '/late');
  const last = await client.takeGoaway();
  t.is(last.code, 'NO_ERROR');
  t.is(last.lastStreamId, late);
  t.is(await client.ended(), 'end');
  await within(stopped, 'the stop');
});

overBoth('a stop lets a body that is under way come to its end', async (t, start) => {
  let running = false;
  const { open, server } = await start(async ({ request, response }) => {
    running = true;
    await response.text(await request.body.text());
  }, SHORT);
  const client = await open();
  const id = client.request(client.post(), { endStream: false });
  client.send(data(id, 'one '));
  await until(() => running, 'it runs');
  const stopped = server.stop();
  await client.takeGoaway();
  client.send(data(id, 'two', { endStream: true }));
  t.is((await client.response(id)).text, 'one two');
  t.is(await client.ended(), 'end');
  await within(stopped, 'the stop');
});

overBoth('no request that a stop did not turn away is lost', async (t, start) => {
  const { open, server } = await start(async ({ request, response }) => {
    await delay(Math.random() * 5);
    await response.text(request.path);
  });
  const client = await open();
  const sent: number[] = [];
  const going = (async () => {
    while (client.ending === undefined && !client.has((frame) => isFinal(frame))) {
      const id = client.nextId();
      const path = `/${String(id)}`;
      client.send(headers(id, block(client.get(path)), { endStream: true }));
      sent.push(id);
      await delay(1);
    }
  })();
  await until(() => sent.length > 20, 'some are under way');
  await within(server.stop(), 'the stop');
  await going;
  await client.ended();
  const final = client.seen.filter(isFinal).at(-1);
  const last = final?.type === 'GOAWAY' ? final.lastStreamId : 0;
  const served = sent.filter((id) => id <= last);
  t.true(served.length >= 20);
  for (const id of served) {
    const answer = await client.response(id);
    t.is(answer.text, `/${String(id)}`);
  }
});

overBoth('a stop that may not wait resets what runs', async (t, start) => {
  let running = false;
  const { open, server } = await start(async ({ requestAborted }) => {
    running = true;
    const gone = deferred();
    requestAborted.addEventListener('abort', () => gone.resolve());
    await gone.promise;
  });
  const client = await open();
  client.request(client.get());
  await until(() => running, 'it runs');
  await within(server.stop(AbortSignal.abort()), 'the stop');
  await client.ended();
  t.pass();
});

overBoth(
  'a quiet connection whose last stream has ended does not hold a stop',
  async (t, start) => {
    const gate = deferred();
    let running = false;
    const { open, server } = await start(async ({ response }) => {
      running = true;
      await gate.promise;
      await response.text('done');
    }, SHORT);
    const client = await open({ autoAck: false });
    const id = client.request(client.get());
    await until(() => running, 'it runs');
    const began = performance.now();
    const stopped = server.stop();
    await client.takeGoaway();
    gate.resolve();
    t.is((await client.response(id)).text, 'done');
    await within(stopped, 'the stop');
    t.true(performance.now() - began < 10_000, 'long before the time of a stop is over');
  },
);

overBoth('a client that says GOAWAY has its streams finished', async (t, start) => {
  const gate = deferred();
  let running = 0;
  const { open } = await start(async ({ response }) => {
    running++;
    await gate.promise;
    await response.text('done');
  });
  const client = await open();
  const ids = [client.request(client.get()), client.request(client.get())];
  await until(() => running === 2, 'both run');
  client.send(goaway(0, 'NO_ERROR'));
  await client.ping();
  gate.resolve();
  for (const id of ids) t.is((await client.response(id)).text, 'done');
  t.is(await client.ended(), 'end');
});

overBoth('PINGs alone do not keep an idle connection past its time', async (t, start) => {
  const { open } = await start(({ response }) => response.text('hello'), {
    limits: { keepAliveTimeout: 500 },
  });
  const client = await open();
  const began = performance.now();
  t.is((await client.fetch(client.get())).text, 'hello');
  while (client.ending === undefined && performance.now() - began < 15_000) {
    await client.ping().catch(() => undefined);
    await delay(20);
  }
  t.is(await client.ended(), 'end');
  t.true(performance.now() - began > 400);
  const last = client.seen.filter((frame) => frame.type === 'GOAWAY').at(-1);
  t.is(last?.type === 'GOAWAY' ? last.code : undefined, 'NO_ERROR');
});

overBoth('a connection with a request that runs is not idle', async (t, start) => {
  const gate = deferred();
  const { target } = await start(
    async ({ response }) => {
      await gate.promise;
      await response.text('late');
    },
    { limits: { keepAliveTimeout: 500 } },
  );
  // The request comes with the preface: until there is one, the connection is idle.
  const client = await H2Client.connect(target);
  t.teardown(() => {
    client.destroy();
  });
  const id = client.nextId();
  client.start(headers(id, block(client.get()), { endStream: true }));
  await delay(2000);
  gate.resolve();
  t.is((await client.response(id)).text, 'late');
  t.is(await client.ended(), 'end', 'and then it is');
});

overBoth(
  'a preface, or a head, that does not come to its end is not waited for',
  async (t, start) => {
    const { open } = await start(({ response }) => response.text('hello'), {
      limits: { requestHeadersTimeout: 300 },
    });
    const client = await open();
    client.request(client.get(), { endHeaders: false });
    await client.ended();
    t.true(client.seen.some((frame) => frame.type === 'GOAWAY'));
  },
);

function isFinal(frame: Received): boolean {
  return frame.type === 'GOAWAY' && frame.lastStreamId !== SOON;
}
