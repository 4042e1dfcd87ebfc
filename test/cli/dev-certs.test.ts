import { spawn } from 'node:child_process';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { developmentCertificatePaths } from '../../lib/server/development-certificate.js';
import { serverCertificate } from '../support/certificates.js';
import { findProgram } from '../support/programs.js';

const PROGRAM = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

interface Result {
  readonly status: number;
  readonly out: string;
  readonly error: string;
}

/** A user of its own, with nothing yet. */
class User {
  readonly home: string;
  readonly files: { readonly certFile: string; readonly keyFile: string };

  constructor(t: ExecutionContext) {
    this.home = mkdtempSync(join(tmpdir(), 'windhover-dev-certs-'));
    this.files = developmentCertificatePaths({ XDG_CONFIG_HOME: this.home });
    t.teardown(() => {
      rmSync(this.home, { recursive: true, force: true });
    });
  }

  async run(args: readonly string[], uid?: number): Promise<Result> {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { ...process.env, XDG_CONFIG_HOME: this.home },
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.home,
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    const ended = once(child, 'exit') as Promise<[number]>;
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [status] = await ended;
    return { status, out, error };
  }

  certificate(): X509Certificate {
    return new X509Certificate(readFileSync(this.files.certFile));
  }
}

test('makes a certificate for this machine, once', async (t) => {
  const user = new User(t);
  const made = await user.run(['dev-certs']);
  t.like(made, { status: 0, error: '' });
  t.true(made.out.includes(user.files.certFile) && made.out.includes(user.files.keyFile), made.out);

  const certificate = user.certificate();
  t.true(certificate.checkPrivateKey(createPrivateKey(readFileSync(user.files.keyFile))));
  t.true(certificate.verify(certificate.publicKey));
  t.is(certificate.ca, false);
  t.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  t.is(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  for (const host of ['localhost', 'app.dev.localhost'])
    t.is(certificate.checkHost(host), host === 'localhost' ? host : '*.dev.localhost');
  t.is(certificate.checkHost('example.com'), undefined);
  for (const address of ['127.0.0.1', '::1']) t.is(certificate.checkIP(address), address);
  const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000;
  t.is(days, 365);
  t.true(Date.parse(certificate.validFrom) <= Date.now());

  t.is(statSync(user.files.keyFile).mode & 0o777, 0o600);
  t.is(statSync(join(user.files.keyFile, '..')).mode & 0o777, 0o700);
  t.deepEqual(readdirSync(join(user.files.keyFile, '..')).sort(), [
    'localhost-key.pem',
    'localhost.pem',
  ]);

  const again = await user.run(['dev-certs']);
  t.is(again.status, 0);
  t.is(user.certificate().fingerprint256, certificate.fingerprint256);
});

test('a client that knows the certificate trusts it, by each of its names', async (t) => {
  const user = new User(t);
  await user.run(['dev-certs']);
  const cert = readFileSync(user.files.certFile);
  const server = createServer({ cert, key: readFileSync(user.files.keyFile) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  for (const servername of ['localhost', 'a.dev.localhost']) {
    const socket = connect({ port, host: '127.0.0.1', servername, ca: cert });
    await once(socket, 'secureConnect');
    t.true(socket.authorized);
    socket.destroy();
  }
  const stranger = connect({ port, host: '127.0.0.1', servername: 'other.example', ca: cert });
  const [error] = (await once(stranger, 'error')) as [NodeJS.ErrnoException];
  t.is(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
});

const openssl = findProgram('openssl');

(openssl === undefined ? test.skip : test)('openssl reads it the same way', async (t) => {
  const user = new User(t);
  await user.run(['dev-certs']);
  const child = spawn(openssl ?? '', ['x509', '-in', user.files.certFile, '-noout', '-text'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const told = await text(child.stdout);
  for (const line of [
    'Version: 3 (0x2)',
    'Signature Algorithm: ecdsa-with-SHA256',
    'X509v3 Basic Constraints: critical\n                CA:FALSE',
    'X509v3 Key Usage: critical\n                Digital Signature',
    'TLS Web Server Authentication',
    'DNS:localhost, DNS:*.dev.localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
  ]) {
    t.true(told.includes(line), `${line}\n${told}`);
  }
  const verify = spawn(
    openssl ?? '',
    [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      user.files.certFile,
      user.files.certFile,
    ],
    { stdio: 'ignore' },
  );
  const [status] = (await once(verify, 'exit')) as [number];
  t.is(status, 0);
});

test('--check tells whether there is one, and makes none', async (t) => {
  const user = new User(t);
  const none = await user.run(['dev-certs', '--check']);
  t.is(none.status, 1);
  t.regex(none.out, /there is none/);
  t.false(existsSync(user.files.certFile));
  await user.run(['dev-certs']);
  const there = await user.run(['dev-certs', '--check']);
  t.is(there.status, 0);
  t.true(there.out.includes(user.files.certFile));
});

test('what cannot be used is replaced, and the reason told', async (t) => {
  const names = ['localhost', '*.dev.localhost', '127.0.0.1', '::1'];
  const good = serverCertificate(names);
  const past = serverCertificate(names, {
    notBefore: new Date(Date.now() - 2e9),
    notAfter: new Date(Date.now() - 1e9),
  });
  for (const [cert, key, why] of [
    [past.cert, past.key, /expired/],
    [good.cert, past.key, /key is another one/],
    [serverCertificate(['localhost']).cert, '', /cannot be understood/],
    ['nonsense', good.key, /cannot be understood/],
  ] as const) {
    const user = new User(t);
    mkdirSync(join(user.files.certFile, '..'), { recursive: true });
    writeFileSync(user.files.certFile, cert);
    writeFileSync(user.files.keyFile, key);
    const checked = await user.run(['dev-certs', '--check']);
    t.is(checked.status, 1);
    t.regex(checked.out, why);
    const made = await user.run(['dev-certs']);
    t.is(made.status, 0);
    t.regex(made.out, why);
    t.true(user.certificate().checkPrivateKey(createPrivateKey(readFileSync(user.files.keyFile))));
  }
});

test('--export-path writes both, the key for nobody else', async (t) => {
  const user = new User(t);
  writeFileSync(join(user.home, 'out.key'), 'old');
  chmodSync(join(user.home, 'out.key'), 0o644);
  const done = await user.run(['dev-certs', '--export-path', 'out.pem']);
  t.is(done.status, 0);
  t.is(readFileSync(join(user.home, 'out.pem'), 'utf8'), readFileSync(user.files.certFile, 'utf8'));
  t.is(readFileSync(join(user.home, 'out.key'), 'utf8'), readFileSync(user.files.keyFile, 'utf8'));
  t.is(statSync(join(user.home, 'out.key')).mode & 0o777, 0o600);
  t.is((await user.run(['dev-certs', '--export-path', 'out.key'])).status, 2);
  const lost = await user.run(['dev-certs', '--export-path', 'nowhere/out.pem']);
  t.is(lost.status, 1);
  t.regex(lost.error, /^windhover dev-certs: ENOENT/);
});

test('--clean deletes it', async (t) => {
  const user = new User(t);
  await user.run(['dev-certs']);
  t.regex((await user.run(['dev-certs', '--clean'])).out, /Deleted/);
  t.false(existsSync(user.files.certFile) || existsSync(user.files.keyFile));
  t.like(await user.run(['dev-certs', '--clean']), { status: 0, out: 'There was none.\n' });
});

test('--trust tells everybody but root what to do', async (t) => {
  const user = new User(t);
  const nobody = 65_534;
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(user.home, nobody, nobody);
  const done = await user.run(['dev-certs', '--trust'], isRoot ? nobody : undefined);
  t.is(done.status, 0, done.error);
  t.regex(done.out, /To trust it/);
  t.true(done.out.trimEnd().split('\n').at(-1)?.includes(user.files.certFile), done.out);
  t.is((await user.run(['dev-certs', '--check', '--trust'])).status, 1);
});

test('a command line that cannot be understood is refused with the usage', async (t) => {
  const user = new User(t);
  for (const [args, word] of [
    [['dev-certs', '--nonsense'], /--nonsense/],
    [['dev-certs', '--clean', '--trust'], /--clean stands alone/],
    [['dev-certs', '--check', '--export-path', 'a'], /--check writes nothing/],
    [['dev-certs', 'more'], /more/],
    [['nonsense'], /there is no command 'nonsense'/],
  ] as const) {
    const refused = await user.run(args);
    t.is(refused.status, 2, args.join(' '));
    t.regex(refused.error, word);
    t.regex(refused.error, /Usage: windhover/);
    t.is(refused.out, '');
  }
  t.like(await user.run([]), { status: 2, error: '' });
  for (const args of [['--help'], ['dev-certs', '--help']]) {
    const help = await user.run(args);
    t.like(help, { status: 0, error: '' });
    t.regex(help.out, /Usage: windhover/);
  }
  t.false(existsSync(user.files.certFile));
});
