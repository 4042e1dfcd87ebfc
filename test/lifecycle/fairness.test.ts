/** Node's other work gets its turn, however busy the server is; and an idle server costs nothing. */
import test from 'ava';
import { RawClient } from '../support/raw-client.js';
import { startChild } from '../support/child.js';
import { until } from '../support/until.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

for (const busyPoll of ['adaptive', 'false', '50', '1000000']) {
  for (const load of ['one connection', 'many connections', 'pipelined', 'uploads']) {
    test.serial(
      `timers and other sockets get their turn: ${load}, busyPoll ${busyPoll}`,
      async (t) => {
        // The server stands in a process of its own, so that the load is not its neighbour's.
        const child = startChild(t, 'lifecycle/children/fair.js', { args: [busyPoll] });
        const { port, echo } = JSON.parse(await child.line()) as { port: number; echo: number };
        let stop = false;
        const visitors: Promise<void>[] = [];
        const count = load === 'many connections' || load === 'uploads' ? 32 : 1;
        for (let i = 0; i < count; i++) {
          const client = await RawClient.connect(port);
          const visit = async (): Promise<void> => {
            while (!stop) {
              if (load === 'pipelined') {
                void client.write(GET.repeat(64));
                for (let k = 0; k < 64; k++) await client.answer();
              } else if (load === 'uploads') {
                const body = 'x'.repeat(100_000);
                await client.request(
                  `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n${body}`,
                );
              } else {
                await client.request(GET);
              }
            }
            client.destroy();
          };
          visitors.push(visit());
        }
        // While all that goes on: round trips to another socket of the same process.
        const other = await RawClient.connect(echo);
        const times: number[] = [];
        const end = performance.now() + 400;
        while (performance.now() < end) {
          const start = performance.now();
          void other.write('ping');
          await other.bytes(4);
          times.push(performance.now() - start);
        }
        stop = true;
        other.destroy();
        await Promise.all(visitors);
        child.process.stdin?.write('report\n');
        const { requests, ticks, elapsed } = JSON.parse(await child.line()) as {
          requests: number;
          ticks: number;
          elapsed: number;
        };
        times.sort((a, b) => a - b);
        const middle = times[times.length >> 1];
        t.log(
          `${String(requests)} requests, ${String(times.length)} echoes, middle ${middle.toFixed(2)} ms, ` +
            `${String(ticks)} ticks in ${elapsed.toFixed(0)} ms`,
        );
        t.true(requests > 20, 'there was load');
        t.true(times.length > 5, 'the other socket was served');
        t.true(middle < 200, 'without waiting for long');
        // A tick every 10 ms, on a machine where others want the processor too.
        t.true(ticks > elapsed / 10 / 8, 'timers fired');
      },
    );
  }
}

test.serial(
  'an idle server takes no processor time, with connections open and after traffic',
  async (t) => {
    for (const busyPoll of ['adaptive', 'false', '50']) {
      const child = startChild(t, 'lifecycle/children/fair.js', { args: [busyPoll, 'quiet'] });
      const { port } = JSON.parse(await child.line()) as { port: number };
      const clients: RawClient[] = [];
      for (let i = 0; i < 50; i++) {
        const client = await RawClient.connect(port);
        for (let k = 0; k < 40; k++) await client.request(GET);
        clients.push(client);
      }
      // The processor time of one second; what the compiler or the collector still do may take one round.
      let least = Infinity;
      await until(async () => {
        child.process.stdin?.write('idle\n');
        const { micros } = JSON.parse(await child.line()) as { micros: number };
        least = Math.min(least, micros);
        return least < 1000;
      }, `the idle server rests (busyPoll ${busyPoll})`);
      t.log(`busyPoll ${busyPoll}: ${String(least)} µs in a second`);
      t.true(least < 1000);
      t.is((await clients[0].request(GET)).status, 200);
      for (const client of clients) client.destroy();
    }
  },
);
