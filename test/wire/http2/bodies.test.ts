/** Bodies: what may be under way is what the application reads, and what the client takes. */
import { setTimeout as delay } from 'node:timers/promises';
import type { H2Client } from '../../support/h2-client.js';
import { Setting, data, priorityUpdate } from '../../support/h2/frames.js';
import { overBoth } from '../../support/h2/server.js';
import { alive } from '../../support/h2/verdicts.js';
import { captureErrors } from '../../support/quiet-console.js';
import { deferred, until, within } from '../../support/until.js';

captureErrors();

overBoth('a body is read as it was sent', async (t, start) => {
  const { open } = await start(async ({ request, response }) => {
    await response.bytes(await request.body.bytes());
  });
  const client = await open({ settings: [[Setting.INITIAL_WINDOW_SIZE, 10_000_000]] });
  const body = Buffer.alloc(2_000_000);
  for (let i = 0; i < body.length; i++) body[i] = (i * 7919) >>> 8;
  const { body: answer } = await client.fetch(client.post(), body);
  t.true(answer.equals(body));
});

overBoth('what an application does not read is not asked for', async (t, start) => {
  const gate = deferred();
  const { open } = await start(async ({ request, response }) => {
    await gate.promise;
    const body = await request.body.bytes();
    await response.text(String(body.length));
  });
  const client = await open();
  const id = client.request(client.post(), { endStream: false });
  const size = 3_000_000;
  const upload = client.upload(id, Buffer.alloc(size));
  await until(() => client.sendWindows.room(id) === 0, 'the window is used up');
  await client.ping();
  await client.ping();
  t.is(client.sendWindows.room(id), 0, 'nobody has read anything');
  gate.resolve();
  const [answer] = await Promise.all([client.response(id), upload]);
  t.is(answer.text, String(size));
});

overBoth('a body that nobody reads does not hold others up', async (t, start) => {
  const gate = deferred();
  const { open } = await start(async ({ request, response }) => {
    if (request.path === '/hold') await gate.promise;
    const body = await request.body.bytes();
    await response.text(String(body.length));
  });
  const client = await open();
  const held = client.request(client.post('/hold'), { endStream: false });
  const holding = client.upload(held, Buffer.alloc(2_000_000));
  holding.catch(() => undefined); // it fails with the rest
  await until(() => client.sendWindows.ofStream(held) === 0, 'its window is used up');
  for (let i = 0; i < 3; i++) {
    const id = client.request(client.post(), { endStream: false });
    const [answer] = await Promise.all([
      client.response(id),
      client.upload(id, Buffer.alloc(2_000_000)),
    ]);
    t.is(answer.text, '2000000');
  }
  gate.resolve();
  t.is((await client.response(held)).text, '2000000');
  await holding;
});

overBoth('an answer waits for the window of its stream, and others do not', async (t, start) => {
  let written = 0;
  const { open } = await start(async ({ request, response }) => {
    if (request.path === '/small') return response.text('small');
    for (let i = 0; i < 100; i++) {
      await response.write(Buffer.alloc(100_000, 'x'));
      written++;
    }
    await response.end();
  });
  const client = await open({
    settings: [[Setting.INITIAL_WINDOW_SIZE, 1000]],
    autoWindow: false,
  });
  client.giveWindow(0, 100_000_000);
  const id = client.request(client.get('/large'));
  let got = 0;
  while (got < 1000) got += (await client.takeData(id)).data.length;
  let before = -1;
  await until(async () => {
    before = written;
    await delay(50);
    return written === before;
  }, 'the writer waits');
  t.true(written < 50, `${String(written)} pieces were taken`);
  t.is((await client.fetch(client.get('/small'))).text, 'small');
  client.giveWindow(id, 20_000_000);
  for (;;) {
    const piece = await client.takeData(id);
    got += piece.data.length;
    if (piece.endStream) break;
  }
  t.is(got, 10_000_000);
  t.is(written, 100);
});

overBoth('windows byte by byte give the whole of an answer', async (t, start) => {
  const text = 'an answer of some forty characters or so.';
  const { open } = await start(({ response }) => response.text(text));
  const client = await open({ settings: [[Setting.INITIAL_WINDOW_SIZE, 0]], autoWindow: false });
  const id = client.request(client.get());
  let got = '';
  while (got.length < text.length) {
    client.giveWindow(id, 1);
    got += (await client.takeData(id)).data.toString();
  }
  t.is(got, text);
});

/** Four answers of which the client takes nothing until it has seen all their heads. */
async function fourHeads(client: H2Client, priorities: readonly string[]): Promise<number[]> {
  const ids = priorities.map((value) => client.request(client.get('/', [['priority', value]])));
  for (const id of ids) await client.takeHeaders(id);
  client.sendSettings([Setting.INITIAL_WINDOW_SIZE, 2_000_000]);
  return ids;
}

/** The streams in the order in which they came to their ends. */
function order(client: H2Client): number[] {
  const ids = client.seen.flatMap((frame) =>
    frame.type === 'DATA' && frame.data.length > 0 ? [frame.streamId] : [],
  );
  return [...new Set(ids.reverse())].reverse();
}

const LARGE = 300_000;
const CLOSED_WINDOW = { settings: [[Setting.INITIAL_WINDOW_SIZE, 0]] } as const;

async function takeAll(client: H2Client, ids: readonly number[]): Promise<number[]> {
  const sizes = ids.map(async (id) => {
    let size = 0;
    for (;;) {
      const piece = await client.takeData(id);
      size += piece.data.length;
      if (piece.endStream) return size;
    }
  });
  return Promise.all(sizes);
}

overBoth('answers that are incremental take turns (RFC 9218 section 10)', async (t, start) => {
  const { open } = await start(({ response }) => response.bytes(Buffer.alloc(LARGE, 'x')));
  const client = await open(CLOSED_WINDOW);
  const ids = await fourHeads(client, ['i', 'i', 'i', 'i']);
  t.deepEqual(await takeAll(client, ids), [LARGE, LARGE, LARGE, LARGE]);
  const pieces = client.seen.flatMap((frame) => (frame.type === 'DATA' ? [frame] : []));
  const firstEnd = pieces.findIndex(({ endStream }) => endStream);
  t.is(new Set(pieces.slice(0, firstEnd).map(({ streamId }) => streamId)).size, 4);
});

overBoth(
  'answers that are not come one after the other, the most urgent first',
  async (t, start) => {
    const { open } = await start(({ response }) => response.bytes(Buffer.alloc(LARGE, 'x')));
    const client = await open(CLOSED_WINDOW);
    const [low, normal, second, high] = await fourHeads(client, ['u=7', 'u=3', 'u=3', 'u=0']);
    await takeAll(client, [low, normal, second, high]);
    t.deepEqual(order(client), [high, normal, second, low]);
  },
);

overBoth('PRIORITY_UPDATE changes what is the most urgent', async (t, start) => {
  const { open } = await start(({ response }) => response.bytes(Buffer.alloc(LARGE, 'x')));
  const client = await open(CLOSED_WINDOW);
  const ids = [0, 1, 2].map(() => client.request(client.get()));
  for (const id of ids) await client.takeHeaders(id);
  client.send(priorityUpdate(ids[2], 'u=0'), priorityUpdate(ids[0], 'u=6'));
  client.sendSettings([Setting.INITIAL_WINDOW_SIZE, 2_000_000]);
  await takeAll(client, ids);
  t.deepEqual(order(client), [ids[2], ids[1], ids[0]]);
});

overBoth('an answer before the end of the body asks for no more of it', async (t, start) => {
  const { open } = await start(({ response }) => response.text('enough'));
  const client = await open();
  const id = client.request(client.post(), { endStream: false });
  client.send(data(id, 'some'));
  const answer = await client.response(id);
  t.is(answer.text, 'enough');
  t.is(await client.takeReset(id), 'NO_ERROR');
  // Under way when the server said so.
  client.send(data(id, 'more'), data(id, 'and more', { endStream: true }));
  await alive(client);
  t.is((await client.fetch(client.get())).text, 'enough');
});

overBoth('a body over the limit is answered 413, and the connection lives', async (t, start) => {
  const { open } = await start(
    async ({ request, response }) => {
      const body = await request.body.bytes();
      await response.text(String(body.length));
    },
    { limits: { maxRequestBodySize: 1000 } },
  );
  const client = await open();
  const told = client.post('/', [['content-length', '1001']]);
  t.is((await client.response(client.request(told, { endStream: false }))).status, 413);
  const id = client.request(client.post(), { endStream: false });
  client.send(data(id, Buffer.alloc(1001)));
  t.is((await client.response(id)).status, 413);
  t.is((await client.fetch(client.post(), Buffer.alloc(1000))).text, '1000');
});

overBoth('a reader hears that its client has reset the stream', async (t, start) => {
  const failed = deferred<unknown>();
  const { open } = await start(async ({ request }) => {
    try {
      for await (const _ of request.body);
    } catch (error) {
      failed.resolve(error);
    }
  });
  const client = await open();
  const id = client.request(client.post(), { endStream: false });
  client.send(data(id, 'some'));
  await client.ping();
  client.send(Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, id, 0, 0, 0, 8]));
  const error = (await within(failed.promise, 'the error')) as { code?: string };
  t.is(error.code, 'WH_ERR_REQUEST_ABORTED');
  await alive(client);
});
