import test from 'ava';
import { startChild } from '../support/child.js';
import { descriptorLimit, forAll } from '../support/many.js';
import { isSanitized } from '../support/programs.js';
import { RawClient } from '../support/raw-client.js';

const COUNT = 10_000;
/** Descriptors that a process needs besides. */
const SPARE = 200;
const AT_ONCE = 250;
/** More than any of them takes on a machine that does other things too (bytes). */
const MEMORY_MAX = { plain: 12_000, ws: 30_000 };

const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: h',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

interface Report {
  readonly resident: number;
  readonly connections: number;
  readonly upgradedConnections: number;
  readonly requests: number;
  readonly activeRequests: number;
  readonly elapsed: number;
  /** How many WebSockets closed with which code. */
  readonly codes: Readonly<Record<string, number>>;
}

/** A short text as a frame of a WebSocket; a client's has a mask, here of zeros. */
function frame(kind: number, data: Buffer, masked: boolean): Buffer {
  const head = masked ? [kind, 0x80 | data.length, 0, 0, 0, 0] : [kind, data.length];
  return Buffer.concat([Buffer.from(head), data]);
}

for (const kind of ['plain', 'ws'] as const) {
  test.serial(
    `ten thousand upgraded connections at once (${kind}), and a stop with all of them open`,
    async (t) => {
      const limit = descriptorLimit();
      if (limit < COUNT + SPARE) {
        t.log(`skipped: a process may have ${String(limit)} descriptors only`);
        t.pass();
        return;
      }
      t.timeout(90_000);
      const child = startChild(t, 'lifecycle/children/tunnels.js', {
        execArgv: ['--expose-gc'],
        args: [kind],
      });
      const port = Number(new URL(await child.line()).port);
      const tell = async (command: string): Promise<Report> => {
        child.process.stdin?.write(`${command}\n`);
        return JSON.parse(await child.line()) as Report;
      };
      const clients: RawClient[] = [];
      t.teardown(() => {
        for (const client of clients) client.destroy();
      });
      const echo = async (n: number, round: number): Promise<void> => {
        const own = Buffer.from(`${String(n)} of ${String(round)}`);
        const wanted = kind === 'ws' ? frame(0x81, own, false) : own;
        void clients[n].write(kind === 'ws' ? frame(0x81, own, true) : own);
        const got = await clients[n].bytes(wanted.length);
        if (!got.equals(wanted)) throw new Error(`${String(got)} is not ${String(wanted)}`);
      };

      const before = await tell('report');
      const start = performance.now();
      await forAll(COUNT, AT_ONCE, async (n) => {
        clients[n] = await RawClient.connect(port);
        void clients[n].write(UPGRADE);
        const { status } = await clients[n].answer('HEAD');
        if (status !== 101) throw new Error(String(status));
        await echo(n, 1);
      });
      const middle = await tell('report');
      t.is(middle.upgradedConnections, COUNT);
      t.is(middle.requests, COUNT);
      await forAll(COUNT, AT_ONCE, (n) => echo(n, 2));
      const elapsed = performance.now() - start;
      const after = await tell('report');
      const each = (after.resident - before.resident) / COUNT;

      // Every client takes the end as a polite one does, and none of them is cut off.
      const endings = Promise.all(
        clients.map(async (client) => {
          if (kind === 'ws') {
            const close = await client.bytes(4);
            if (close[0] !== 0x88 || close.readUInt16BE(2) !== 1001) throw new Error('no goodbye');
            void client.write(frame(0x88, Buffer.from([0x03, 0xe9]), true));
          }
          const ending = await client.closed;
          client.halfClose();
          return ending;
        }),
      );
      const stopped = await tell('stop');
      t.deepEqual(new Set(await endings), new Set(['end']));
      t.is(stopped.connections, 0);
      t.is(stopped.upgradedConnections, 0);
      t.is(stopped.activeRequests, 0);
      t.deepEqual(stopped.codes, kind === 'ws' ? { 1001: COUNT } : {});
      t.true(stopped.elapsed < 20_000, String(stopped.elapsed));
      t.is((await child.whenEnded()).code, 0);
      t.log(
        `${(elapsed / 1000).toFixed(1)} s for two echoes each; ` +
          `${(after.resident / 1e6).toFixed(1)} MB in all, ${each.toFixed(0)} bytes more for each; ` +
          `the stop took ${stopped.elapsed.toFixed(0)} ms`,
      );
      if (!isSanitized) t.true(each < MEMORY_MAX[kind], String(each));
    },
  );
}
