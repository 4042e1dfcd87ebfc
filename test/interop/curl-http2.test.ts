/** curl against one endpoint: HTTP/1.1 and HTTP/2 by ALPN, two certificates by SNI, a client's certificate. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { answer, DIGEST, LARGE } from '../support/interop-handler.js';
import { findProgram } from '../support/programs.js';
import type { Ran } from '../support/run.js';
import { run } from '../support/run.js';
import type { CertificateFiles, SecureServer } from '../support/secure-server.js';
import { startSecure, writeCertificates } from '../support/secure-server.js';
import { until } from '../support/until.js';

const curlPath = findProgram('curl');
let speaksHttp2 = false;
test.before(async () => {
  if (curlPath === undefined) return;
  speaksHttp2 = /\bHTTP2\b/.test((await run(curlPath, ['--version'])).text);
});

/** Skips with a message where there is no curl that can. */
function check(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  test(title, async (t) => {
    if (speaksHttp2) return body(t);
    t.log('there is no curl that speaks HTTP/2: skipped');
    t.pass();
    return undefined;
  });
}

interface World extends SecureServer {
  readonly files: CertificateFiles;
  readonly curl: (args: readonly string[], input?: Uint8Array) => Promise<Ran>;
}

async function start(t: ExecutionContext): Promise<World> {
  const server = await startSecure(t, answer, { limits: { maxRequestBodySize: null } });
  const files = writeCertificates(t);
  const curl = (args: readonly string[], input?: Uint8Array): Promise<Ran> =>
    run(
      curlPath as string,
      ['--silent', '--show-error', '--max-time', '60', '--cacert', files.ca, ...args],
      input,
    );
  return { ...server, files, curl };
}

check(
  'curl: HTTP/1.1 and HTTP/2 by ALPN, certificates by SNI, with and without its own',
  async (t) => {
    const { url, port, files, curl } = await start(t);
    const own = ['--cert', files.cert, '--key', files.key];
    const versions = [
      ['--http2', 'HTTP/2', 'h2'],
      ['--http1.1', 'HTTP/1.1', 'http/1.1'],
    ];
    for (const [option, protocol, alpn] of versions) {
      for (const [name, tls] of [
        ['localhost', '--tlsv1.3'],
        ['localhost', '--tls-max'],
        ['other.test', '--tlsv1.3'],
      ]) {
        for (const certificate of [[], own]) {
          const version = tls === '--tls-max' ? ['--tls-max', '1.2'] : [tls];
          const { text, code, stderr } = await curl([
            option,
            ...version,
            ...certificate,
            '--resolve',
            `${name}:${String(port)}:127.0.0.1`,
            `https://${name}:${String(port)}/facts`,
          ]);
          t.is(code, 0, stderr);
          t.deepEqual(JSON.parse(text), {
            protocol,
            scheme: 'https',
            host: `${name}:${String(port)}`,
            sni: name,
            tls: tls === '--tls-max' ? 'TLSv1.2' : 'TLSv1.3',
            alpn,
            resumed: false,
            visitor: certificate.length > 0 ? 'CN=visitor' : null,
          });
        }
      }
    }
    const wrong = await curl([
      '--resolve',
      `nobody.test:${String(port)}:127.0.0.1`,
      `https://nobody.test:${String(port)}/`,
    ]);
    t.is(wrong.code, 60, 'the certificate is for another name');
    const address = await curl([`${url}/hello`]);
    t.is(address.text, 'Hello', address.stderr);
  },
);

check('curl: cleartext with prior knowledge, and HTTP/1.1 beside it', async (t) => {
  const { clearUrl, curl } = await start(t);
  const knowing = await curl(['--http2-prior-knowledge', `${clearUrl}/facts`]);
  t.is(knowing.code, 0, knowing.stderr);
  t.is((JSON.parse(knowing.text) as { protocol: string }).protocol, 'HTTP/2');
  const old = await curl([`${clearUrl}/facts`]);
  t.is((JSON.parse(old.text) as { protocol: string }).protocol, 'HTTP/1.1');
  // It asks for an upgrade to h2c, which nobody has any more (RFC 9113 section 3.1).
  const asking = await curl(['--http2', `${clearUrl}/facts`]);
  t.is(asking.code, 0, asking.stderr);
  t.is((JSON.parse(asking.text) as { protocol: string }).protocol, 'HTTP/1.1');
});

check('curl: one connection for many requests, at once and in turn', async (t) => {
  const { url, curl, metrics } = await start(t);
  const turn = await curl(Array<string>(50).fill(`${url}/hello`));
  t.is(turn.text, 'Hello'.repeat(50), turn.stderr);
  t.is(metrics().totalConnections, 1);
  const once = await curl([
    '--parallel',
    '--parallel-max',
    '50',
    ...Array<string>(50).fill(`${url}/hello`),
  ]);
  t.is(once.text, 'Hello'.repeat(50), once.stderr);
});

check('curl: HEAD, statuses, interim answers, trailers, many fields', async (t) => {
  const { url, curl } = await start(t);
  const head = await curl(['--head', `${url}/hello`]);
  t.regex(head.text, /^HTTP\/2 200 \r\n[^]*^content-length: 5\r$/m);
  t.is((await curl(['--fail', `${url}/nothing`])).code, 22);
  t.regex((await curl(['--include', `${url}/refuse`])).text, /^HTTP\/2 403 [^]*\r\n\r\nno$/);
  t.regex(
    (await curl(['--include', `${url}/hints`])).text,
    /^HTTP\/2 103 \r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/2 200 [^]*hinted$/,
  );
  const trailers = await curl(['--include', `${url}/trailers`]);
  t.is(trailers.code, 0, trailers.stderr);
  t.true(trailers.text.includes('with trailers'));
  const many = await curl(['--include', `${url}/many-headers`]);
  t.is(many.text.match(/^x-field-\d+: /gm)?.length, 500, many.stderr);
  const sent = Array.from({ length: 60 }, (_, i) => [
    '-H',
    `X-Field-${String(i)}: ${'v'.repeat(200)}`,
  ]);
  const back = await curl([...sent.flat(), `${url}/headers`]);
  t.is(
    (JSON.parse(back.text) as string[][]).filter(([name]) => name.startsWith('x-field-')).length,
    60,
  );
});

check('curl: bodies up, with a length and without, after 100 Continue', async (t) => {
  const { url, curl } = await start(t);
  const small = Buffer.from('a small body');
  for (const path of ['/echo', '/stream']) {
    for (const extra of [[], ['-H', 'Expect: 100-continue'], ['-H', 'Content-Length:']]) {
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
    const { text, code, stderr } = await curl([...way, `${url}/digest`], LARGE);
    t.is(code, 0, stderr);
    t.is(text, DIGEST, way.join(' '));
  }
  const echoed = await curl(['--upload-file', '-', `${url}/stream`], LARGE);
  t.is(echoed.code, 0, echoed.stderr);
  t.true(echoed.stdout.equals(LARGE));
});

check('curl: bodies down, fast and slow; a client that goes away', async (t) => {
  const { url, curl, metrics } = await start(t);
  for (const path of ['/large', '/large/written']) {
    for (const extra of [[], ['--limit-rate', '40M']]) {
      const { stdout, code, stderr } = await curl([...extra, `${url}${path}`]);
      t.is(code, 0, stderr);
      t.true(stdout.equals(LARGE), `${path} ${extra.join(' ')}`);
    }
  }
  const cut = await curl(['--max-time', '1', `${url}/forever`]);
  t.is(cut.code, 28);
  await until(() => metrics().activeRequests === 0, 'the server has noticed');
});
