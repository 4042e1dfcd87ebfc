/** Starts and stops many servers, and tells what is left of them; see collect.test.ts. */
import { readdirSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import type { HttpContext } from '../../../lib/http/http-context.js';
import { createApplication } from '../../../lib/server/server.js';
import { RawClient } from '../../support/raw-client.js';

const collect = (globalThis as unknown as { gc: () => void }).gc;

interface Left {
  readonly descriptors: number;
  readonly resources: number;
  /** Resident memory (bytes). */
  readonly resident: number;
  /** Servers, contexts and bodies that are still there. */
  readonly alive: number;
}

const references: WeakRef<object>[] = [];

async function useOneServer(n: number): Promise<void> {
  const server = new WindhoverServer({
    endpoints: [{ host: '127.0.0.1', port: 0 }],
    shutdown: { drainWindow: 0 },
  });
  let kept: HttpContext | undefined;
  await server.start(
    createApplication(async (context) => {
      kept = context;
      references.push(new WeakRef(context));
      const bytes = Buffer.alloc(50_000);
      references.push(new WeakRef(bytes));
      if (context.request.path === '/later') await turn();
      await context.response.bytes(bytes);
    }),
  );
  references.push(new WeakRef(server));
  const client = await RawClient.connect(Number(new URL(server.addresses[0]).port));
  for (const path of ['/', '/later']) {
    await client.request(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
  }
  if (n % 4 === 1) {
    // A request that never ends, and a body that waits.
    void client.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nabc');
  }
  if (n % 4 === 2) {
    client.pause();
    void client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(100));
    await turn();
  }
  if (n % 4 === 3) client.destroy();
  const stopped = server.stop(n % 4 === 1 || n % 4 === 2 ? AbortSignal.abort() : undefined);
  if (n % 4 === 0) client.halfClose(); // else the server waits for it
  await stopped;
  // Somebody holds on to a context of a server that is gone.
  if (kept === undefined) throw new Error('no request has come');
  client.destroy();
}

async function look(): Promise<Left> {
  for (let i = 0; i < 10; i++) {
    await turn();
    collect();
  }
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().length,
    resident: process.memoryUsage.rss(),
    alive: references.filter((reference) => reference.deref() !== undefined).length,
  };
}

const rounds: Left[] = [];
for (let round = 0; round < 4; round++) {
  const count = round === 0 ? 20 : 200;
  for (let i = 0; i < count; i++) await useOneServer(i);
  rounds.push(await look());
}
console.log(JSON.stringify({ rounds, references: references.length }));
