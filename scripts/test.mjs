// `npm test`: builds what is out of date, then runs every test there is, and closes with one line,
// "N passed, N failed", counted over all runners. Exits 0 only where tests ran and none failed.
//
//   node scripts/test.mjs [STEP...]     only these steps
import { runAva } from './lib/ava.mjs';
import { addCounts, closingLine, exitStatus, noCounts } from './lib/counts.mjs';
import { runCTests } from './lib/ctest.mjs';
import { checkGenerated } from './lib/generated.mjs';
import { buildAddon } from './lib/native.mjs';
import { PlainError, main } from './lib/run.mjs';
import { buildTypeScript } from './lib/typescript.mjs';

/** In this order: what is quick and what the rest builds on comes first. */
const STEPS = {
  generated: { title: 'generated tables are fresh', run: checkGenerated },
  c: { title: 'the core, in C', run: () => runCTests() },
  asan: {
    title: 'the core under AddressSanitizer and UBSan',
    run: () => runCTests({ sanitize: 'address' }),
  },
  tsan: { title: 'the core under ThreadSanitizer', run: () => runCTests({ sanitize: 'thread' }) },
  ts: {
    title: 'the server, in TypeScript',
    run: () => {
      buildAddon();
      buildTypeScript();
      return runAva();
    },
  },
};

await main(async () => {
  const named = process.argv.slice(2);
  const unknown = named.find((step) => !(step in STEPS));
  if (unknown !== undefined) {
    throw new PlainError(`no step ${unknown}: there are ${Object.keys(STEPS).join(', ')}`);
  }
  const total = noCounts();
  for (const [name, step] of Object.entries(STEPS)) {
    if (named.length > 0 && !named.includes(name)) continue;
    addCounts(total, await timed(step));
  }
  process.exitCode = exitStatus(total);
  console.log(closingLine(total));
});

/** Runs a step. One that breaks (does not build, crashes) counts as a failure, and the rest still runs. */
async function timed({ title, run }) {
  console.log(`windhover: ${title}`);
  const start = performance.now();
  try {
    return await run();
  } catch (error) {
    console.log(`  ${error instanceof PlainError ? error.message : error.stack}`);
    return { ...noCounts(), failed: 1 };
  } finally {
    console.log(`  ${((performance.now() - start) / 1000).toFixed(1)} s`);
  }
}
