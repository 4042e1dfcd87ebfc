import test from 'ava';
import { startChild } from '../support/child.js';

test('six hundred servers started and stopped leave nothing behind', async (t) => {
  t.timeout(120_000);
  const child = startChild(t, 'lifecycle/children/collect.js', { execArgv: ['--expose-gc'] });
  const { code, output, errors } = await child.whenEnded(110_000);
  t.is(code, 0, errors);
  const { rounds, references } = JSON.parse(output[0]) as {
    rounds: { descriptors: number; resources: number; resident: number; alive: number }[];
    references: number;
  };
  t.log(JSON.stringify(rounds), `of ${String(references)} objects`);
  const [, first, , last] = rounds;
  t.is(last.descriptors, first.descriptors);
  t.is(last.resources, first.resources);
  // A few may be held by a stack frame or a cache; four hundred servers more would be hundreds.
  t.true(last.alive < 10, String(last.alive));
  // 400 servers more; each has 900 kB of shared memory, so to keep them all would take 360 MB.
  t.true(last.resident - first.resident < 40_000_000, String(last.resident - first.resident));
});
