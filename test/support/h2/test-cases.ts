/** How cases of conformance become tests. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { serverCertificate } from '../certificates.js';
import type { Case } from './case.js';
import { Trial } from './case.js';
import type { ConformanceServers } from './conformance-server.js';
import { startServers } from './conformance-server.js';

/** Makes two tests of each case: over cleartext and over TLS. One server serves all of a file. */
export function testCases(cases: readonly Case[]): void {
  let servers: ConformanceServers | undefined;
  test.before(async () => {
    servers = await startServers(serverCertificate());
  });
  test.after.always(async () => {
    await servers?.stop();
  });
  for (const transport of ['cleartext', 'tls'] as const) {
    for (const one of cases) {
      if (one.only !== undefined && one.only !== transport) continue;
      test(`${transport === 'tls' ? 'TLS' : 'h2c'}: ${one.title}`, async (t: ExecutionContext) => {
        if (servers === undefined) throw new Error('the servers did not start');
        const trial = new Trial(servers[transport]);
        t.teardown(() => {
          trial.close();
        });
        await one.run(trial);
        t.pass();
      });
    }
  }
}
