import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { TlsHandshakeFeature } from '../../lib/features/tls-features.js';
import type { Logger } from '../../lib/server/log-events.js';
import type { EndpointOptions } from '../../lib/server/options.js';
import type { Certificate } from '../support/certificates.js';
import {
  certificateAuthority,
  clientCertificate,
  serverCertificate,
} from '../support/certificates.js';
import { failure, get as getOnce, startHttps } from '../support/https-server.js';
import { startChild } from '../support/child.js';
import { until } from '../support/until.js';

/** A folder with a certificate in it. */
class Place {
  readonly folder: string;
  readonly certFile: string;
  readonly keyFile: string;

  constructor(t: ExecutionContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'windhover-reload-'));
    this.certFile = join(this.folder, 'cert.pem');
    this.keyFile = join(this.folder, 'key.pem');
    t.teardown(() => {
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  get files(): { certFile: string; keyFile: string } {
    const { certFile, keyFile } = this;
    return { certFile, keyFile };
  }

  write({ cert, key }: Certificate): void {
    writeFileSync(this.certFile, cert);
    writeFileSync(this.keyFile, key);
  }
}

interface Line {
  readonly eventId: number;
  readonly level: string;
  readonly err?: Error;
}

class Lines implements Logger {
  readonly all: Line[] = [];
  readonly debug = (): void => undefined;
  readonly info = this.keep('info');
  readonly warn = this.keep('warn');
  readonly error = this.keep('error');

  /** How often an event was told. */
  count(eventId: number): number {
    return this.all.filter((line) => line.eventId === eventId).length;
  }

  private keep(level: string) {
    return (details: object): void => {
      this.all.push({ ...(details as Line), level });
    };
  }
}

/** Another endpoint of the same server, whose changes tell that all files have been looked at. */
class Looks {
  readonly endpoint: EndpointOptions;
  passed = 0;
  private readonly place: Place;

  constructor(
    t: ExecutionContext,
    private readonly logger: Lines,
  ) {
    this.place = new Place(t);
    const { cert, key } = serverCertificate();
    const { certFile } = this.place;
    writeFileSync(certFile, key + cert);
    this.endpoint = { host: '127.0.0.1', port: 0, https: { certFile } };
  }

  /** Settles when there was one more look at all files. */
  async pass(): Promise<void> {
    const told = this.logger.count(1009);
    // In one step: half of it would be told as a failure.
    const both = serverCertificate();
    writeFileSync(`${this.place.certFile}.new`, both.key + both.cert);
    renameSync(`${this.place.certFile}.new`, this.place.certFile);
    await until(() => this.logger.count(1009) > told, 'all files have been looked at');
    this.passed++;
  }
}

/** Settles when new connections get another certificate than the one of that number. */
function changed(ask: () => Promise<{ serial: string }>, old: string): Promise<void> {
  return until(async () => (await ask()).serial !== old, 'the certificate has changed');
}

test('a changed file is seen, and connections that are open go on', async (t) => {
  const place = new Place(t);
  const first = serverCertificate();
  const second = serverCertificate();
  place.write(first);
  const { get, connect } = await startHttps(t, place.files);
  const socket = await connect({ ca: first.cert, rejectUnauthorized: true });
  const { serial } = await get();
  place.write(second);
  await changed(get, serial);
  await get({ ca: second.cert, rejectUnauthorized: true });
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.true(answer.toString().startsWith('HTTP/1.1 200'));
});

test('a link that leads elsewhere is seen, as Kubernetes swaps folders', async (t) => {
  const place = new Place(t);
  const [first, second] = [serverCertificate(), serverCertificate()];
  for (const [name, { cert, key }] of Object.entries({ first, second })) {
    mkdirSync(join(place.folder, name));
    writeFileSync(join(place.folder, name, 'cert.pem'), cert);
    writeFileSync(join(place.folder, name, 'key.pem'), key);
  }
  symlinkSync('first', join(place.folder, '..data'));
  symlinkSync(join('..data', 'cert.pem'), place.certFile);
  symlinkSync(join('..data', 'key.pem'), place.keyFile);
  const { get } = await startHttps(t, place.files);
  const { serial } = await get({ ca: first.cert, rejectUnauthorized: true });
  symlinkSync('second', join(place.folder, '..new'));
  renameSync(join(place.folder, '..new'), join(place.folder, '..data'));
  await changed(get, serial);
  t.is((await get({ ca: second.cert, rejectUnauthorized: true })).status, 200);
});

test('what cannot be used changes nothing, is told once, and tried again', async (t) => {
  const place = new Place(t);
  const [first, second] = [serverCertificate(), serverCertificate()];
  place.write(first);
  const logger = new Lines();
  const looks = new Looks(t, logger);
  const { get } = await startHttps(t, {}, undefined, {
    logger,
    endpoints: [{ host: '127.0.0.1', port: 0, https: place.files }, looks.endpoint],
  });
  const { serial } = await get();
  // Half of a file, then a key that does not fit, then none at all.
  truncateSync(place.certFile, 100);
  await until(() => logger.count(1010) === 1, 'the broken file is told');
  t.is((await get()).serial, serial);
  writeFileSync(place.certFile, second.cert);
  await until(() => logger.count(1010) === 2, 'the key that does not fit is told');
  rmSync(place.keyFile);
  await until(() => logger.count(1010) === 3, 'the missing key is told');
  await looks.pass();
  await looks.pass();
  t.is(logger.count(1010), 3);
  t.is((await get()).serial, serial);
  for (const line of logger.all.filter(({ eventId }) => eventId === 1010)) {
    t.is(line.level, 'error');
    t.regex(line.err?.message ?? '', /endpoints\[0\]/);
    t.notRegex(line.err?.message ?? '', /BEGIN/);
  }
  writeFileSync(place.keyFile, second.key);
  await changed(get, serial);
  t.is(logger.count(1009), looks.passed + 1);
  t.is((await get({ ca: second.cert, rejectUnauthorized: true })).status, 200);
});

test('reloadCertificates does it by hand, or tells why not', async (t) => {
  const place = new Place(t);
  const [first, second] = [serverCertificate(), serverCertificate()];
  place.write(first);
  const logger = new Lines();
  const looks = new Looks(t, logger);
  const https = { ...place.files, reloadOnChange: false };
  const { server, get } = await startHttps(t, {}, undefined, {
    logger,
    endpoints: [{ host: '127.0.0.1', port: 0, https }, looks.endpoint],
  });
  const { serial } = await get();
  writeFileSync(place.certFile, second.cert);
  const error = await t.throwsAsync(server.reloadCertificates(), { code: 'WH_ERR_INVALID_OPTION' });
  t.true(error.message.includes('endpoints[0]'), error.message);
  t.is((await get()).serial, serial);
  rmSync(place.keyFile);
  await t.throwsAsync(server.reloadCertificates(), { code: 'WH_ERR_CERTIFICATE_UNREADABLE' });
  writeFileSync(place.keyFile, second.key);
  await looks.pass();
  t.is((await get()).serial, serial);
  await server.reloadCertificates();
  t.is((await get({ ca: second.cert, rejectUnauthorized: true })).status, 200);
});

test('authorities and the certificates of host names are looked at too', async (t) => {
  const place = new Place(t);
  const [own, host, other] = [
    serverCertificate(),
    serverCertificate(['a.example']),
    serverCertificate(['a.example']),
  ];
  const [authority, later] = [certificateAuthority('first'), certificateAuthority('second')];
  const caFile = join(place.folder, 'ca.pem');
  writeFileSync(caFile, authority.cert);
  place.write(host);
  const { get } = await startHttps(t, {
    cert: own.cert,
    key: own.key,
    sni: { 'a.example': { ...place.files, clientCertificateMode: 'require', caFile } },
  });
  const servername = 'a.example';
  const client = clientCertificate('one', { issuer: authority });
  const newcomer = clientCertificate('two', { issuer: later });
  const ask = ({ cert, key }: Certificate): ReturnType<typeof get> =>
    get({ servername, cert, key });
  const { serial } = await ask(client);
  t.regex(await failure(ask(newcomer)), /alert|ECONNRESET|EPROTO|socket hang up/);
  writeFileSync(caFile, authority.cert + later.cert);
  await until(
    async () => (await failure(ask(newcomer))) === 'nothing failed',
    'the authority is there',
  );
  place.write(other);
  await changed(() => ask(client), serial);
});

test('no request is lost while certificates change under load', async (t) => {
  const place = new Place(t);
  const certificates = [serverCertificate(), serverCertificate(), serverCertificate()];
  place.write(certificates[0]);
  const { server, port } = await startHttps(t, { ...place.files, reloadOnChange: false });
  const kept = new Agent({ keepAlive: true, maxSockets: 8 });
  const serials = new Set<string>();
  let done = 0;
  let going = true;
  const load = async (agent?: Agent): Promise<void> => {
    while (going) {
      const answer = await getOnce(agent === undefined ? { port } : { port, agent });
      if (answer.status !== 200 || answer.body !== 'hello') throw new Error('lost');
      if (agent === undefined) serials.add(answer.serial);
      done++;
    }
  };
  const clients = [
    ...Array.from({ length: 8 }, () => load(kept)),
    ...Array.from({ length: 8 }, () => load()),
  ];
  const failed = Promise.all(clients);
  failed.catch(() => undefined);
  for (let i = 1; i <= 12; i++) {
    place.write(certificates[i % certificates.length]);
    await server.reloadCertificates();
    const before = done;
    await Promise.race([failed, until(() => done > before + 20, 'requests go on')]);
  }
  going = false;
  await t.notThrowsAsync(failed);
  kept.destroy();
  t.is(serials.size, certificates.length);
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion}: a session of before is taken up again after a change`, async (t) => {
    const place = new Place(t);
    place.write(serverCertificate());
    const { server, connect } = await startHttps(t, place.files, ({ features, response }) =>
      response.text(String(features.get(TlsHandshakeFeature)?.isResumed)),
    );
    const ask = async (session?: Buffer): Promise<{ body: string; session: Buffer }> => {
      const socket = await connect(
        session === undefined ? { maxVersion } : { maxVersion, session },
      );
      let latest: Buffer | undefined = socket.getSession();
      socket.on('session', (news: Buffer) => (latest = news));
      socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      let text = '';
      for await (const piece of socket) text += String(piece);
      return { body: text.split('\r\n\r\n')[1], session: latest ?? Buffer.alloc(0) };
    };
    const first = await ask();
    t.is(first.body, 'false');
    t.is((await ask(first.session)).body, 'true');
    place.write(serverCertificate());
    await server.reloadCertificates();
    t.is((await ask(first.session)).body, 'true');
    // Keys in front of the old one, then without it.
    const [key, newer] = [Buffer.alloc(80, 1), Buffer.alloc(80, 2)];
    server.setTicketKeys(key);
    t.is((await ask(first.session)).body, 'false');
    const second = await ask();
    server.setTicketKeys([newer, key]);
    await server.reloadCertificates();
    t.is((await ask(second.session)).body, 'true');
    server.setTicketKeys(newer);
    t.is((await ask(second.session)).body, 'false');
  });
}

test('two servers with the same ticket keys take up each other’s sessions', async (t) => {
  const { cert, key } = serverCertificate();
  const ticketKeys = [Buffer.alloc(80, 7)];
  const one = await startHttps(t, { cert, key, ticketKeys });
  const two = await startHttps(t, { cert, key, ticketKeys });
  const none = await startHttps(t, { cert, key, ticketKeys, sessionTickets: false });
  const socket = await one.connect({ maxVersion: 'TLSv1.2' });
  const session = socket.getSession();
  t.true((await two.connect({ maxVersion: 'TLSv1.2', session })).isSessionReused());
  t.false((await none.connect({ maxVersion: 'TLSv1.2', session })).isSessionReused());
});

test('a server that watches files lets its process end', async (t) => {
  const place = new Place(t);
  place.write(serverCertificate());
  const args = [place.certFile, place.keyFile];
  const { code, output, errors } = await startChild(t, 'tls/children/unref.js', {
    args,
  }).whenEnded();
  t.is(code, 0, errors);
  t.deepEqual(output, ['listening']);
});
