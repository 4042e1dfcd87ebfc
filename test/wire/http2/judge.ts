/**
 * Runs the cases of conformance against any server, and prints which it does not pass: how the cases
 * themselves are checked. `node dist/test/wire/http2/judge.js PORT [tls] [large] [strict] [piecemeal] [-v] [MATCH]`
 */
import type { Need } from '../../support/h2/case.js';
import { Trial } from '../../support/h2/case.js';
import type { H2Target } from '../../support/h2-client.js';
import { allCases } from './cases/index.js';

const [port, ...words] = process.argv.slice(2);
const flags = new Set(words.filter((word) => /^[a-z-]+$/.test(word)));
const match = words.find((word) => !/^[a-z-]+$/.test(word)) ?? '';
const target: H2Target = {
  port: Number(port),
  strict: flags.has('strict'),
  piecemeal: flags.has('piecemeal'),
  patience: 2000,
  ...(flags.has('tls') ? { tls: { rejectUnauthorized: false, servername: 'localhost' } } : {}),
};
const transport = flags.has('tls') ? 'tls' : 'cleartext';
const offered = (need: Need): boolean => flags.has('strict') || flags.has(need);
let passed = 0;
let failed = 0;
for (const cases of Object.values(allCases)) {
  for (const one of cases) {
    if (one.only !== undefined && one.only !== transport) continue;
    if (!(one.needs ?? []).every(offered) || !one.title.includes(match)) continue;
    const trial = new Trial(target);
    try {
      await one.run(trial);
      passed++;
    } catch (error) {
      failed++;
      const { message, stack } = error as Error;
      console.log(`FAILED ${one.title}\n    ${flags.has('-v') ? String(stack) : message}`);
    }
    trial.close();
  }
}
console.log(`${String(passed)} passed, ${String(failed)} failed`);
