import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { answer, DIGEST, LARGE } from '../support/interop-handler.js';
import { findProgram, foreignEnvironment } from '../support/programs.js';
import { startServer } from '../support/wire-server.js';

const hasCurl = findProgram('curl') !== undefined;
const check = hasCurl ? test : test.skip;
if (!hasCurl) console.log('curl is not installed: its tests are skipped');

interface Result {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly text: string;
  readonly stderr: string;
}

/** Runs curl, and feeds it. */
function curl(args: readonly string[], input?: Uint8Array): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn('curl', ['--silent', '--show-error', '--max-time', '60', ...args], {
      env: foreignEnvironment(),
    });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      const bytes = Buffer.concat(stdout);
      resolve({ code, stdout: bytes, text: bytes.toString(), stderr });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

async function start(t: ExecutionContext): Promise<{ url: string; connections: () => number }> {
  const { url, metrics } = await startServer(t, answer, {
    limits: { maxRequestBodySize: null },
  });
  return { url, connections: () => metrics().totalConnections };
}

check('curl: one connection for many requests', async (t) => {
  const { url, connections } = await start(t);
  const { text, code, stderr } = await curl(Array<string>(20).fill(`${url}/hello`));
  t.is(code, 0, stderr);
  t.is(text, 'Hello'.repeat(20));
  t.is(connections(), 1);
});

check('curl: Connection: close', async (t) => {
  const { url, connections } = await start(t);
  const { text, code } = await curl([
    '-H',
    'Connection: close',
    ...Array<string>(5).fill(`${url}/hello`),
  ]);
  t.is(code, 0);
  t.is(text, 'Hello'.repeat(5));
  t.is(connections(), 5);
});

check('curl: HEAD, HTTP/1.0, a failure', async (t) => {
  const { url } = await start(t);
  const head = await curl(['--head', `${url}/hello`, `${url}/hello`]);
  t.is(head.code, 0, head.stderr);
  t.is(head.text.match(/^HTTP\/1\.1 200 OK\r$/gm)?.length, 2);
  t.regex(head.text, /^Content-Length: 5\r$/m);
  const old = await curl(['--http1.0', '--include', `${url}/hello`]);
  t.regex(old.text, /^Connection: close\r$/m);
  t.true(old.text.endsWith('\r\n\r\nHello'));
  const missing = await curl(['--fail', `${url}/nothing`]);
  t.is(missing.code, 22);
});

check('curl: bodies up, with a length, in chunks, after 100 Continue', async (t) => {
  const { url } = await start(t);
  const small = Buffer.from('a small body');
  for (const path of ['/echo', '/stream']) {
    for (const extra of [
      [],
      ['-H', 'Transfer-Encoding: chunked'],
      ['-H', 'Expect: 100-continue'],
    ]) {
      const { stdout, code, stderr } = await curl(
        ['--data-binary', '@-', ...extra, `${url}${path}`],
        small,
      );
      t.is(code, 0, stderr);
      t.true(stdout.equals(small), `${path} ${extra.join(' ')}`);
    }
  }
  for (const way of [
    ['--data-binary', '@-'],
    ['--upload-file', '-'],
  ]) {
    for (const extra of [[], ['-H', 'Transfer-Encoding: chunked']]) {
      const { text, code, stderr } = await curl([...way, ...extra, `${url}/digest`], LARGE);
      t.is(code, 0, stderr);
      t.is(text, DIGEST, `${way.join(' ')} ${extra.join(' ')}`);
    }
  }
});

check('curl: bodies down, fast and slow', async (t) => {
  const { url } = await start(t);
  for (const path of ['/large', '/large/written']) {
    for (const extra of [[], ['--limit-rate', '40M'], ['--http1.0']]) {
      const { stdout, code, stderr } = await curl([...extra, `${url}${path}`]);
      t.is(code, 0, stderr);
      t.true(stdout.equals(LARGE), `${path} ${extra.join(' ')}`);
    }
  }
});

check('curl: many at once', async (t) => {
  const { url } = await start(t);
  const { text, code, stderr } = await curl([
    '--parallel',
    '--parallel-max',
    '40',
    ...Array<string>(200).fill(`${url}/hello`),
  ]);
  t.is(code, 0, stderr);
  t.is(text, 'Hello'.repeat(200));
});

check('curl: header fields come through', async (t) => {
  const { url } = await start(t);
  const { text } = await curl([
    '-H',
    'X-One: a',
    '-H',
    'X-Empty;',
    '-H',
    'Cookie: a=1; b=2',
    '-A',
    'me',
    `${url}/headers`,
  ]);
  const fields = new Map(JSON.parse(text) as [string, string][]);
  t.is(fields.get('X-One'), 'a');
  t.is(fields.get('X-Empty'), '');
  t.is(fields.get('Cookie'), 'a=1; b=2');
  t.is(fields.get('User-Agent'), 'me');
});

check('curl: an answer before the body is sent', async (t) => {
  const { url } = await start(t);
  const { text, code, stderr } = await curl(
    ['--data-binary', '@-', '--write-out', '%{http_code}', `${url}/refuse`],
    LARGE,
  );
  t.is(code, 0, stderr);
  t.is(text, 'no403');
});

check('curl: a Unix socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-'));
  const path = join(folder, 'app.sock');
  const server = new WindhoverServer({ endpoints: [{ path }] });
  await server.start(createApplication(answer));
  t.teardown(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  const { text, code, stderr } = await curl([
    '--unix-socket',
    path,
    'http://localhost/hello',
    'http://localhost/hello',
  ]);
  t.is(code, 0, stderr);
  t.is(text, 'HelloHello');
});
