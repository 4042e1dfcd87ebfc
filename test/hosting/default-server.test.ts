/** Which server serves where nobody has chosen one, with and without a binary. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { serve } from '../../lib/hosting/serve.js';
import { NodeHttpServer } from '../../lib/server/node-http-server.js';
import { startChild } from '../support/child.js';
import { coded } from '../support/errors.js';

/** What a process says that serves with these variables, and what it warns of. */
async function ask(
  t: ExecutionContext,
  variables: NodeJS.ProcessEnv,
): Promise<{ output: string; warnings: number; errors: string }> {
  const child = startChild(t, 'hosting/children/which-server.js', {
    env: { ...process.env, WINDHOVER_SERVER: undefined, ...variables },
  });
  const { output, errors } = await child.whenEnded();
  const warnings = errors.split('[WH_WARN_NO_BINARY]').length - 1;
  return { output: output.join('\n'), warnings, errors };
}

/** Where node-gyp-build looks for binaries then: there are none. */
function withoutBinary(t: ExecutionContext): NodeJS.ProcessEnv {
  const folder = mkdtempSync(`${tmpdir()}/windhover-`);
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  return { WINDHOVER_PREBUILD: folder };
}

test('the core’s server where its binary loads, or is asked for', async (t) => {
  for (const variables of [{}, { WINDHOVER_SERVER: '' }, { WINDHOVER_SERVER: 'windhover' }]) {
    const { output, warnings } = await ask(t, variables);
    t.is(output, 'WindhoverServer WindhoverServer hello');
    t.is(warnings, 0);
  }
});

test('Node’s where it is asked for, without a word', async (t) => {
  for (const variables of [{}, withoutBinary(t)]) {
    const { output, errors } = await ask(t, { WINDHOVER_SERVER: 'node', ...variables });
    t.is(output, 'NodeHttpServer NodeHttpServer hello');
    t.notRegex(errors, /WH_WARN/);
  }
});

test('Node’s where no binary loads, with one warning that says why', async (t) => {
  const { output, warnings, errors } = await ask(t, withoutBinary(t));
  t.is(output, 'NodeHttpServer NodeHttpServer hello');
  t.is(warnings, 1, errors);
  t.regex(errors, /binary does not load.*No native build was found/s);
});

test('none where no binary loads and the core’s server is asked for', async (t) => {
  const { output } = await ask(t, { ...withoutBinary(t), WINDHOVER_SERVER: 'windhover' });
  t.regex(output, /^failed .*No native build was found/);
});

test('another name is a mistake', async (t) => {
  const { output } = await ask(t, { WINDHOVER_SERVER: 'nginx' });
  t.regex(output, /^failed WH_ERR_INVALID_SERVER .*WINDHOVER_SERVER.*"nginx"/);
  const wrong = serve({ server: 'nginx' as never }, () => undefined);
  await t.throwsAsync(wrong, coded('WH_ERR_INVALID_SERVER', RangeError));
});

test('the option of serve chooses', async (t) => {
  const running = await serve({ urls: 'http://127.0.0.1:0', server: 'node' }, ({ response }) =>
    response.text('hello'),
  );
  t.teardown(() => running.stop());
  t.true(running.server instanceof NodeHttpServer);
  t.is(await (await fetch(running.addresses[0])).text(), 'hello');
});
