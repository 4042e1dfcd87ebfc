/** Hostile clients of TLS: handshakes without an end, new keys for ever, renegotiation. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { H2Client } from '../support/h2-client.js';
import { Attacker } from '../support/h2/attacker.js';
import { megabytes, startAttacked } from '../support/h2/attacked.js';
import { forAll } from '../support/many.js';
import { findProgram, foreignEnvironment, isSanitized } from '../support/programs.js';
import { until } from '../support/until.js';

const HALVES = 500;

test.serial('half handshakes end by their timeout, and whole ones are served beside', async (t) => {
  t.timeout(60_000);
  const { tlsPort, cert, look } = await startAttacked(t);
  const before = await look();
  const attackers: Attacker[] = [];
  const began = performance.now();
  await forAll(HALVES, 100, async (n) => {
    const attacker = await Attacker.open({ port: tlsPort, silent: true });
    // A record of 512 bytes of which 100 come: the start of a ClientHello.
    attacker.send(Buffer.from('160301020001', 'hex'), Buffer.alloc(100));
    attackers[n] = attacker;
  });
  const client = await H2Client.open({
    port: tlsPort,
    tls: { ca: cert, servername: 'localhost' },
  });
  t.is((await client.fetch(client.get())).status, 200);
  client.destroy();
  await Promise.all(attackers.map((attacker) => attacker.end(20_000)));
  const seconds = (performance.now() - began) / 1000;
  const after = await look();
  t.log(`sent ${String(HALVES)} × 106 bytes of a ClientHello; came back: the end of all`);
  t.log(`${seconds.toFixed(1)} s`);
  t.log(`server: ${megabytes(before.rss)} MB before, ${megabytes(after.peak)} MB at most`);
  t.deepEqual(
    attackers.map(({ outcome }) => outcome).filter((outcome) => outcome !== 'closed'),
    [],
  );
  t.is(after.timeouts['handshake'], HALVES);
  if (!isSanitized) t.true(after.peak - before.rss < 60_000_000);
});

/** Has `openssl s_client` do something again and again; how it ended. */
async function repeat(
  t: ExecutionContext,
  openssl: string,
  port: number,
  version: string,
  command: string,
): Promise<{ sent: number; errors: string }> {
  const args = ['s_client', '-connect', `127.0.0.1:${String(port)}`, version];
  const child = spawn(openssl, args, { env: foreignEnvironment() });
  t.teardown(() => child.kill('SIGKILL'));
  let errors = '';
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.on('error', () => undefined);
  const closed = once(child, 'close');
  await until(() => output.includes('---\nSSL handshake has read'), 'the handshake is done');
  let sent = 0;
  const timer = setInterval(() => {
    if (sent === 5000 || !child.stdin.writable) return;
    // s_client takes a command from each read.
    child.stdin.write(`${command}\n`);
    sent++;
  }, 2);
  try {
    await closed;
  } finally {
    clearInterval(timer);
  }
  return { sent, errors };
}

for (const { name, version, command } of [
  { name: 'new keys for ever', version: '-tls1_3', command: 'k' },
  { name: 'new keys for ever, ours too', version: '-tls1_3', command: 'K' },
  { name: 'renegotiation', version: '-tls1_2', command: 'R' },
]) {
  test.serial(`a client of TLS that asks for ${name} is let go`, async (t) => {
    const openssl = findProgram('openssl');
    if (openssl === undefined) {
      t.log('skipped: there is no openssl');
      t.pass();
      return;
    }
    t.timeout(60_000);
    const { tlsPort, look } = await startAttacked(t);
    const before = await look();
    const { sent, errors } = await repeat(t, openssl, tlsPort, version, command);
    const after = await look();
    const last = errors.trim().split('\n').at(-1) ?? '';
    t.log(`sent at most ${String(sent)} × ${command}; came back: ${last}`);
    t.log(`server: ${megabytes(before.rss)} MB before, ${megabytes(after.peak)} MB at most`);
    t.regex(last, command === 'R' ? /no renegotiation/ : /alert unexpected message/);
    const asked = errors.split(/KEYUPDATE|RENEGOTIATING/).length - 1;
    t.true(asked < 100, String(asked));
    t.is(after.timeouts['keepAlive'] + after.timeouts['requestHeaders'], 0);
  });
}
