/** What openssl (and sslscan, where it is) gets out of an endpoint: versions, ciphers, resumption. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { join } from 'node:path';
import { answer } from '../support/interop-handler.js';
import { findProgram } from '../support/programs.js';
import type { Ran } from '../support/run.js';
import { run } from '../support/run.js';
import type { SecureServer } from '../support/secure-server.js';
import { startSecure, writeCertificates } from '../support/secure-server.js';

const openssl = findProgram('openssl');
const sslscan = findProgram('sslscan');

function check(
  title: string,
  program: string | undefined,
  body: (t: ExecutionContext) => Promise<void>,
): void {
  test(title, async (t) => {
    if (program !== undefined) return body(t);
    t.log('it is not installed: skipped');
    t.pass();
    return undefined;
  });
}

interface World extends SecureServer {
  readonly folder: string;
  readonly client: (args: readonly string[], input?: string) => Promise<Ran>;
}

async function start(t: ExecutionContext): Promise<World> {
  const server = await startSecure(t, answer);
  const { ca, folder } = writeCertificates(t);
  const client = (args: readonly string[], input = ''): Promise<Ran> =>
    run(
      openssl as string,
      ['s_client', '-connect', `127.0.0.1:${String(server.port)}`, '-CAfile', ca, ...args],
      input,
    );
  return { ...server, folder, client };
}

/** The version and cipher that were agreed upon; `undefined` where there was no handshake. */
function agreed({ text }: Ran): string | undefined {
  const found = /^New, (\S+), Cipher is (\S+)$/m.exec(text);
  return found === null || found[2] === '(NONE)' ? undefined : `${found[1]} ${found[2]}`;
}

check('openssl: TLS 1.2 and 1.3, and nothing below', openssl, async (t) => {
  const { client } = await start(t);
  for (const version of ['-tls1_3', '-tls1_2']) {
    const ran = await client([version, '-verify_return_error']);
    t.is(ran.code, 0, ran.stderr);
    t.regex(ran.text, /Verify return code: 0 \(ok\)/);
    t.true(agreed(ran)?.startsWith(version === '-tls1_3' ? 'TLSv1.3' : 'TLSv1.2'), agreed(ran));
  }
  for (const version of ['-tls1', '-tls1_1']) {
    // Level 0, or the client itself would not.
    const ran = await client([version, '-cipher', 'ALL:@SECLEVEL=0']);
    t.not(ran.code, 0, version);
    t.is(agreed(ran), undefined, version);
  }
});

check(
  'openssl: no cipher without forward secrecy and authenticated encryption',
  openssl,
  async (t) => {
    const { client } = await start(t);
    const { text } = await run(openssl as string, [
      'ciphers',
      '-tls1_2',
      '-s',
      'ALL:COMPLEMENTOFALL:@SECLEVEL=0',
    ]);
    const all = text.trim().split(':');
    t.true(all.length > 30);
    const taken: string[] = [];
    const names = ['localhost', 'other.test']; // ECDSA and RSA
    await eachOf(
      all.flatMap((cipher) => names.map((name) => [cipher, name])),
      async ([cipher, name]) => {
        const ran = await client([
          '-tls1_2',
          '-servername',
          name,
          '-cipher',
          `${cipher}:@SECLEVEL=0`,
        ]);
        if (agreed(ran) !== undefined) taken.push(cipher);
      },
    );
    t.log(taken.join(' '));
    t.true(taken.length >= 4);
    const good = /^ECDHE-(?:RSA|ECDSA)-(?:AES(?:128|256)-GCM-SHA(?:256|384)|CHACHA20-POLY1305)$/;
    t.deepEqual(
      taken.filter((cipher) => !good.test(cipher)),
      [],
    );
  },
);

/** Four at a time. */
async function eachOf<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const work = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await action(item);
  };
  await Promise.all([work(), work(), work(), work()]);
}

check('openssl: no renegotiation, no compression; ALPN', openssl, async (t) => {
  const { client } = await start(t);
  for (const [offered, chosen] of [
    ['h2,http/1.1', 'h2'],
    ['http/1.1,h2', 'h2'],
    ['http/1.1', 'http/1.1'],
    ['spdy/3,http/1.1', 'http/1.1'],
  ]) {
    const { text } = await client(['-alpn', offered]);
    t.is(/^ALPN protocol: (.*)$/m.exec(text)?.[1], chosen, offered);
  }
  const none = await client([]);
  t.regex(none.text, /^No ALPN negotiated$/m);
  t.regex(none.text, /^Compression: NONE$/m);
  t.is(agreed(await client(['-alpn', 'spdy/3'])), undefined);
  const again = await client(['-tls1_2'], 'R\n');
  t.regex(again.stderr, /no renegotiation|RENEGOTIATING/);
  t.false(/verify return.*verify return/s.test(again.stderr.split('RENEGOTIATING')[1] ?? ''));
});

for (const version of ['-tls1_2', '-tls1_3']) {
  check(`openssl: sessions are resumed, ${version}`, openssl, async (t) => {
    const { client, folder, port } = await start(t);
    const session = join(folder, 'session');
    const request = `GET /facts HTTP/1.1\r\nHost: localhost:${String(port)}\r\nConnection: close\r\n\r\n`;
    const ask = (args: readonly string[]): Promise<Ran> =>
      client([version, '-ign_eof', '-quiet', '-servername', 'localhost', ...args], request);
    const resumed = ({ text }: Ran): unknown =>
      (JSON.parse(text.slice(text.lastIndexOf('\n{') + 1)) as { resumed: boolean }).resumed;
    t.false(resumed(await ask(['-sess_out', session])));
    t.true(resumed(await ask(['-sess_in', session])));
    // Not for another host.
    t.false(
      resumed(
        await client(
          [version, '-ign_eof', '-quiet', '-servername', 'other.test', '-sess_in', session],
          request,
        ),
      ),
    );
  });
}

check('sslscan finds nothing weak', sslscan, async (t) => {
  const { port } = await start(t);
  const { text, code, stderr } = await run(sslscan as string, [
    '--no-colour',
    `127.0.0.1:${String(port)}`,
  ]);
  t.is(code, 0, stderr);
  for (const version of ['SSLv2', 'SSLv3', 'TLSv1.0', 'TLSv1.1']) {
    t.regex(text, new RegExp(`^${version.replace('.', '\\.')} +disabled$`, 'm'));
  }
  t.regex(text, /^TLSv1\.3 +enabled$/m);
  t.regex(text, /Session renegotiation not supported/);
  t.regex(text, /Compression disabled/);
  for (const [, cipher] of text.matchAll(/^(?:Accepted|Preferred) .* bits +(\S+)/gm)) {
    t.regex(cipher, /GCM|CHACHA20/);
  }
});
