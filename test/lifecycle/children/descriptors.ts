/**
 * A server that runs out of descriptors. It tells in JSON, a line each: { url }, { paused }, { resumed };
 * and answers every line that it is given with its metrics and the CPU time that it used (ms).
 *
 * The limit on descriptors is set by what starts it; it opens files until only `spare` are left.
 */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createApplication } from '../../../lib/server/server.js';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';

function tell(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const server = new WindhoverServer({
  endpoints: [{ host: '127.0.0.1', port: 0 }],
  onAcceptPaused: (error) => {
    const { code, message, cause } = error as Error & { code: string; cause: { code: string } };
    tell({ paused: cause.code, code, message });
  },
  onAcceptResumed: (pausedFor) => {
    tell({ resumed: pausedFor });
  },
});
await server.start(createApplication(({ response }) => response.text('served')));
const held: number[] = [];

/** Takes all descriptors but so many. */
function occupy(spare: number): void {
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'));
    } catch {
      break;
    }
  }
  for (let i = 0; i < spare; i++) closeSync(held.pop() ?? -1);
}

tell({ url: server.addresses[0] });
createInterface(process.stdin).on('line', (line) => {
  const [command, argument] = line.split(' ');
  if (command === 'occupy') occupy(Number(argument));
  if (command === 'free') for (const fd of held.splice(0)) closeSync(fd);
  if (command === 'stop') {
    void server.stop().then(() => process.exit(0));
    return;
  }
  const { user, system } = process.cpuUsage();
  tell({ cpu: (user + system) / 1000, metrics: server.metrics() });
});
