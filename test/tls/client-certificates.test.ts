import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { TlsConnectionFeature } from '../../lib/features/tls-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import {
  certificateAuthority,
  clientCertificate,
  serverCertificate,
} from '../support/certificates.js';
import { failure, startHttps } from '../support/https-server.js';

const { cert, key } = serverCertificate();
const authority = certificateAuthority('those who sign clients');
const intermediate = certificateAuthority('an intermediate', { issuer: authority });
const good = clientCertificate('good', { issuer: intermediate });
const stranger = clientCertificate('stranger');
const past = clientCertificate('past', {
  issuer: authority,
  notBefore: new Date(Date.now() - 2e9),
  notAfter: new Date(Date.now() - 1e9),
});

const show = (own: { cert: string; key: string }, chain = ''): { cert: string; key: string } => ({
  cert: own.cert + chain,
  key: own.key,
});

function tell({ connection, features, response }: HttpContext): void | Promise<void> {
  const feature = features.get(TlsConnectionFeature);
  return response.json({
    subject: connection.clientCertificate?.subject ?? null,
    chain: feature?.clientCertificateChain.map(({ subject }) => subject),
    verified: feature?.isClientCertificateVerified,
  });
}

const NOBODY = { subject: null, chain: [], verified: false };

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const maxVersion = version;

  test(`${version}: nobody is asked unless the options say so`, async (t) => {
    const { get } = await startHttps(t, { cert, key, ca: authority.cert }, tell);
    t.deepEqual(JSON.parse((await get({ maxVersion, ...show(good) })).body), NOBODY);
  });

  test(`${version}: 'allow' takes one that is good, or none`, async (t) => {
    const https = { cert, key, clientCertificateMode: 'allow' as const, ca: authority.cert };
    const { get } = await startHttps(t, https, tell);
    t.deepEqual(JSON.parse((await get({ maxVersion })).body), NOBODY);
    const shown = await get({ maxVersion, ...show(good, intermediate.cert) });
    const told = JSON.parse(shown.body) as { chain: string[] };
    t.like(told, { subject: 'CN=good', verified: true });
    t.deepEqual(told.chain.slice(0, 2), ['CN=good', 'CN=an intermediate']);
    for (const own of [stranger, past]) {
      t.regex(
        await failure(get({ maxVersion, ...show(own) })),
        /alert|ECONNRESET|EPROTO|socket hang up/,
        own.name,
      );
    }
  });

  test(`${version}: 'require' wants one`, async (t) => {
    const https = { cert, key, clientCertificateMode: 'require' as const, ca: authority.cert };
    const { get } = await startHttps(t, https, tell);
    t.like(JSON.parse((await get({ maxVersion, ...show(good, intermediate.cert) })).body), {
      subject: 'CN=good',
    });
    t.regex(await failure(get({ maxVersion })), /alert|ECONNRESET|EPROTO|socket hang up/);
    t.regex(
      await failure(get({ maxVersion, ...show(stranger) })),
      /alert|ECONNRESET|EPROTO|socket hang up/,
    );
  });

  test(`${version}: any certificate passes where the application judges it`, async (t) => {
    const { get } = await startHttps(
      t,
      {
        cert,
        key,
        clientCertificateMode: 'require',
        allowAnyClientCertificate: true,
        ca: authority.cert,
      },
      tell,
    );
    t.like(JSON.parse((await get({ maxVersion, ...show(stranger) })).body), {
      subject: 'CN=stranger',
      verified: false,
    });
    t.like(JSON.parse((await get({ maxVersion, ...show(good, intermediate.cert) })).body), {
      subject: 'CN=good',
      verified: true,
    });
    t.regex(await failure(get({ maxVersion })), /alert|ECONNRESET|EPROTO|socket hang up/);
  });
}

test('each host name can ask for its own, from files', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-clients-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, authority.cert);
  const { get } = await startHttps(
    t,
    { cert, key, sni: { 'admin.example': { clientCertificateMode: 'require', caFile } } },
    tell,
  );
  t.is((await get({ servername: 'localhost' })).status, 200);
  t.regex(
    await failure(get({ servername: 'admin.example' })),
    /alert|ECONNRESET|EPROTO|socket hang up/,
  );
  const admin = await get({ servername: 'admin.example', ...show(good, intermediate.cert) });
  t.like(JSON.parse(admin.body), { subject: 'CN=good', verified: true });
});

test('middleware may say whose certificate it is', async (t) => {
  const told = new X509Certificate(good.cert);
  const { get } = await startHttps(t, { cert, key }, ({ connection, features, response }) => {
    const feature = features.get(TlsConnectionFeature);
    if (feature !== undefined) feature.clientCertificate = told;
    return response.text(connection.clientCertificate === told ? 'yes' : 'no');
  });
  t.is((await get()).body, 'yes');
});
