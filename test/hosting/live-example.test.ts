import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { defaultUrls } from '../../examples/live/urls.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import { developmentCertificatePaths } from '../../lib/server/development-certificate.js';

const EXAMPLE = fileURLToPath(new URL('../../examples/live/app.js', import.meta.url));

/** Starts the example on a port of the system's choice. */
async function startExample(
  environment: Record<string, string> = {},
): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [EXAMPLE, '--urls', 'http://127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, NODE_ENV: '', WINDHOVER_ENVIRONMENT: '', ...environment },
  });
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const url = /^Now listening on: (.*)$/.exec(line)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new Error('The example did not start');
}

test('the example answers on all its end points, and stops on a signal while it streams', async (t) => {
  const { child, url } = await startExample({ WINDHOVER_ENVIRONMENT: 'Development' });
  t.teardown(() => child.kill('SIGKILL'));
  const get = async (path: string, init?: RequestInit): Promise<string> => {
    const response = await fetch(url + path, init);
    t.is(response.status, 200, path);
    return response.text();
  };
  const page = await get('/');
  for (const [, path] of page.matchAll(/(?:href|src)="(\/[\w.]+\.\w+)"/g)) {
    t.true((await get(path)).length > 0, path);
  }
  t.is(await get('/text'), 'Hello from windhover.\n');
  t.is((JSON.parse(await get('/json')) as { message: string }).message, 'Hello from windhover.');
  t.is(await get('/hello/G%C3%A9rard'), '{"hello":"Gérard"}');
  t.is(await get('/echo', { method: 'POST', body: 'héé' }), 'héé');

  const boom = await fetch(`${url}/boom?name=<b>`, { headers: { Accept: 'text/html' } });
  t.is(boom.status, 500);
  const details = await boom.text();
  t.regex(details, /Nobody is as calm as &#60;b&#62;/);
  t.regex(details, /Caused by/);
  // The example's own frame stands out, the package's own step back.
  t.regex(details, /<pre>\s*at greetAndFail/);
  t.regex(details, /<span class="far"> *at .*route-table/);

  const live = await fetch(`${url}/live`);
  t.is(live.headers.get('content-type'), 'text/event-stream');
  const events = live.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!/^data: \{.*\}\n\n/m.test(text)) text += (await events?.read())?.value ?? t.fail();
  t.regex(text, /^event: history\ndata: \[/);
  const sample = JSON.parse(/^data: (\{.*\})$/m.exec(text)?.[1] ?? '') as Record<string, number>;
  t.true(sample['requests'] >= 9);
  t.true(sample['connections'] >= 1);
  t.true(sample['memory'] > 0);

  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  while ((await events?.read())?.done === false);
  t.deepEqual(await exited, [0, null]);
});

test('the example tells nobody what failed in production', async (t) => {
  const { child, url } = await startExample({ NODE_ENV: 'production' });
  t.teardown(() => child.kill('SIGKILL'));
  const boom = await fetch(`${url}/boom`, { headers: { Accept: 'text/html' } });
  t.is(await boom.text(), '500 Internal Server Error\n');
});

test.serial('the example speaks TLS as well where there is a development certificate', (t) => {
  const home = mkdtempSync(join(tmpdir(), 'windhover-live-'));
  const before = process.env['XDG_CONFIG_HOME'];
  process.env['XDG_CONFIG_HOME'] = home;
  t.teardown(() => {
    if (before === undefined) delete process.env['XDG_CONFIG_HOME'];
    else process.env['XDG_CONFIG_HOME'] = before;
    rmSync(home, { recursive: true, force: true });
  });
  const builder = (...args: string[]): ReturnType<typeof WebApplication.createBuilder> =>
    WebApplication.createBuilder({ args, contentRoot: home });
  t.deepEqual(defaultUrls(builder(), {}), []);
  const { certFile, keyFile } = developmentCertificatePaths();
  mkdirSync(dirname(certFile), { recursive: true });
  for (const file of [certFile, keyFile]) writeFileSync(file, '');
  t.deepEqual(defaultUrls(builder(), {}), ['http://localhost:5000', 'https://localhost:5001']);
  t.deepEqual(defaultUrls(builder(), { PORT: '80' }), []);
  t.deepEqual(defaultUrls(builder('--urls', 'http://*:1'), {}), []);
  t.deepEqual(defaultUrls(builder('--endpoints:a:port=1'), {}), []);
});
