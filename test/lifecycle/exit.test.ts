import test from 'ava';
import { startChild } from '../support/child.js';
import { within } from '../support/until.js';

const SCRIPT = 'lifecycle/children/exit.js';

for (const kind of [
  'exit',
  'unref',
  'unref, ref, unref',
  'stopped',
  'exit in a handler',
  'exit in an async handler',
  'exit after the answer',
  'exit in onCompleted',
  'exit with requests in flight',
  'stop and exit',
]) {
  test(`a process ends well: ${kind}`, async (t) => {
    const child = startChild(t, SCRIPT, { args: [kind] });
    const { code, signal, errors } = await child.whenEnded(30_000);
    t.deepEqual({ code, signal, errors }, { code: 0, signal: null, errors: '' });
  });
}

test('a server that listens holds the process', async (t) => {
  const child = startChild(t, SCRIPT, { args: ['ref'] });
  t.is(await within(child.line(), 'the child'), 'held');
  child.process.stdin?.write('end\n');
  t.is((await child.whenEnded()).code, 3);
});

test('an uncaught exception ends the process as it ends any', async (t) => {
  const child = startChild(t, SCRIPT, { args: ['uncaught'] });
  const { code, errors } = await child.whenEnded();
  t.is(code, 1);
  t.regex(errors, /Error: mine/);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`without a listener ${signal} ends the process`, async (t) => {
    const child = startChild(t, SCRIPT, { args: ['signal'] });
    t.is(await within(child.line(), 'the child'), 'up');
    child.process.kill(signal);
    t.is((await child.whenEnded()).signal, signal);
  });
}
