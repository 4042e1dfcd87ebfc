/** Many streams at once, one slow reader on each connection: memory is bounded, and nobody waits for them. */
import test from 'ava';
import { Attacker } from '../support/h2/attacker.js';
import { megabytes, startAttacked } from '../support/h2/attacked.js';
import { FrameType, MAX_WINDOW, Setting, headers, windowUpdate } from '../support/h2/frames.js';
import { block } from '../support/h2/hpack.js';
import { forAll } from '../support/many.js';
import { isSanitized } from '../support/programs.js';
import { until } from '../support/until.js';

const CONNECTIONS = 100;
const STREAMS = 100;
/** Of an answer; see bench/attacks/server.mjs. */
const SIZE = 200_000;
/** What a slow reader takes at once (bytes), so many of which a second satisfy the least data rate. */
const SLOW_WINDOW = 1000;
/** How the answers are made, and what they may need. */
const KINDS = {
  // maxResponseBufferSize for each stream, and the piece that exceeds it, of 20 kB.
  '/medium': { made: 'written piece by piece', most: CONNECTIONS * STREAMS * (65_536 + 40_000) },
  // The streams, their requests, what waits in the queues of connections.
  '/shared': { made: 'of one buffer', most: 250_000_000 },
} as const;

for (const path of ['/medium', '/shared'] as const) {
  const { made, most } = KINDS[path];
  test.serial(`ten thousand answers ${made}, one on each connection read slowly`, async (t) => {
    t.timeout(240_000);
    const { http2Port: port, look } = await startAttacked(t, ['--default-limits']);
    const get = block([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'h'],
    ]);
    const before = await look();
    const began = performance.now();
    /** Answers that have come to their end, but for the slow ones. */
    let complete = 0;
    let slowBytes = 0;
    const clients: Attacker[] = [];
    t.teardown(() => {
      for (const client of clients) client.socket.destroy();
    });
    await forAll(CONNECTIONS, 20, async (n) => {
      const client = await Attacker.open({
        port,
        settings: [[Setting.INITIAL_WINDOW_SIZE, SLOW_WINDOW]],
      });
      clients[n] = client;
      client.onFrame = (type, streamId, length, isEnd) => {
        if (type !== FrameType.DATA) return;
        if (streamId === 1) slowBytes += length;
        else if (isEnd) complete++;
      };
      const frames: Buffer[] = [windowUpdate(0, MAX_WINDOW - 65_535)];
      for (let i = 0; i < STREAMS; i++) {
        const id = client.nextId();
        frames.push(headers(id, get, { endStream: true }));
        if (id > 1) frames.push(windowUpdate(id, SIZE));
      }
      client.send(...frames);
      client.every(200, () => {
        client.send(windowUpdate(1, SLOW_WINDOW));
      });
    });
    t.teardown(() => Promise.all(clients.map((client) => client.end(0))));
    await until(
      () => complete === CONNECTIONS * (STREAMS - 1) || clients.some(({ isOver }) => isOver),
      'all that read normally have their answers',
      isSanitized ? 220_000 : 120_000,
    );
    const seconds = (performance.now() - began) / 1000;
    const after = await look();
    t.log(
      `${complete.toLocaleString('en')} answers of ${String(SIZE / 1000)} kB in ` +
        `${seconds.toFixed(1)} s, ${String(CONNECTIONS)} more at ${String(slowBytes)} bytes together`,
    );
    t.log(`server: ${megabytes(before.rss)} MB before, ${megabytes(after.peak)} MB at most`);
    t.is(complete, CONNECTIONS * (STREAMS - 1));
    t.is(after.requests, CONNECTIONS * STREAMS);
    t.deepEqual(
      clients.map(({ outcome }) => outcome).filter((outcome) => outcome !== 'still open'),
      [],
    );
    t.true(slowBytes < SIZE * CONNECTIONS, 'the slow ones read on');
    if (!isSanitized) t.true(after.peak - before.rss < most);
  });
}
