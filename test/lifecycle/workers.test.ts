import test from 'ava';
import { startChild } from '../support/child.js';

for (const kind of [
  'terminated',
  'terminated in several at once',
  'terminated while it spins in a handler',
  'exits in a handler',
  'fails with an uncaught exception',
  'ends by itself, unreferenced',
  'ends by itself after a stop',
  'serves beside the main thread',
]) {
  test.serial(`a server in a worker thread: ${kind}`, async (t) => {
    const child = startChild(t, 'lifecycle/children/workers.js', { args: [kind] });
    const { code, signal, output, errors } = await child.whenEnded(50_000);
    t.deepEqual({ code, signal, output }, { code: 0, signal: null, output: ['survived'] }, errors);
  });
}
