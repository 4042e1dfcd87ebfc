/** nghttp and h2load, nghttp2's own clients. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answer, DIGEST, LARGE } from '../support/interop-handler.js';
import { findProgram } from '../support/programs.js';
import { run } from '../support/run.js';
import { startSecure, writeCertificates } from '../support/secure-server.js';

function check(
  program: string,
  title: string,
  body: (t: ExecutionContext, path: string) => Promise<void>,
): void {
  const path = findProgram(program);
  test(`${program}: ${title}`, async (t) => {
    if (path !== undefined) return body(t, path);
    t.log(`${program} is not installed: skipped`);
    t.pass();
    return undefined;
  });
}

check('nghttp', 'many at once, with priorities, on TLS and in cleartext', async (t, nghttp) => {
  const { url, clearUrl, metrics } = await startSecure(t, answer);
  for (const base of [url, clearUrl]) {
    const { text, code, stderr } = await run(nghttp, [
      '--null-out',
      '--stat',
      '--no-verify-peer',
      '--multiply=20',
      `${base}/hello`,
      `${base}/large`,
      `${base}/many-headers`,
    ]);
    t.is(code, 0, stderr);
    t.is(text.match(/ 200 +\S+ \/(?:hello|large|many-headers)$/gm)?.length, 60, text);
  }
  t.is(metrics().totalConnections, 2);
});

check('nghttp', 'uploads, padding, trailers, a small window', async (t, nghttp) => {
  const { url } = await startSecure(t, answer, { limits: { maxRequestBodySize: null } });
  const { folder } = writeCertificates(t);
  const file = join(folder, 'large');
  writeFileSync(file, LARGE);
  const common = ['--no-verify-peer'];
  const up = await run(nghttp, [...common, `--data=${file}`, `${url}/digest`]);
  t.is(up.text, DIGEST, up.stderr);
  const padded = await run(nghttp, [...common, '--padding=255', `--data=${file}`, `${url}/digest`]);
  t.is(padded.text, DIGEST, padded.stderr);
  const down = await run(nghttp, [
    ...common,
    '--window-bits=10',
    '--connection-window-bits=12',
    `${url}/large/written`,
  ]);
  t.true(down.stdout.equals(LARGE), down.stderr);
  const trailing = await run(nghttp, [
    ...common,
    '--verbose',
    '--trailer=x-sum: abc',
    `--data=${file}`,
    `${url}/trailers`,
  ]);
  t.regex(trailing.text, /x-end: told/);
  const table = await run(nghttp, [
    ...common,
    '--header-table-size=0',
    '--encoder-header-table-size=0',
    `${url}/many-headers`,
  ]);
  t.is(table.text, 'many', table.stderr);
  const waiting = await run(nghttp, [
    ...common,
    '--expect-continue',
    `--data=${file}`,
    `${url}/digest`,
  ]);
  t.is(waiting.text, DIGEST, waiting.stderr);
});

check('h2load', 'thousands of requests on a few connections', async (t, h2load) => {
  const { url, clearUrl, metrics } = await startSecure(t, answer);
  for (const base of [url, clearUrl]) {
    const { text, code, stderr } = await run(h2load, ['-n2000', '-c4', '-m32', `${base}/hello`]);
    t.is(code, 0, stderr);
    t.regex(text, /2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    t.regex(text, /status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx/);
  }
  const old = await run(h2load, ['-n200', '-c2', '--h1', `${url}/hello`]);
  t.regex(old.text, /200 succeeded, 0 failed/);
  t.is(metrics().answers, 4200);
});
