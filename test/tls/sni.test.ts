import test from 'ava';
import { TlsHandshakeFeature } from '../../lib/features/tls-features.js';
import { serverCertificate } from '../support/certificates.js';
import { failure, startHttps } from '../support/https-server.js';

const main = serverCertificate(['localhost']);
const exact = serverCertificate(['a.example']);
const wild = serverCertificate(['*.b.example']);
const deeper = serverCertificate(['*.c.b.example']);

const pair = ({ cert, key }: { cert: string; key: string }): { cert: string; key: string } => ({
  cert,
  key,
});

test('each name gets its certificate: the exact one, else the longest suffix, else the default', async (t) => {
  const { get } = await startHttps(
    t,
    {
      ...pair(main),
      sni: {
        'A.example': pair(exact),
        '*.b.example': pair(wild),
        '*.c.b.example': pair(deeper),
      },
    },
    ({ features, response }) => response.text(features.get(TlsHandshakeFeature)?.hostName ?? '-'),
  );
  for (const [servername, { cert }] of [
    ['a.example', exact],
    ['A.EXAMPLE', exact],
    ['x.b.example', wild],
    ['x.c.b.example', deeper],
  ] as const) {
    const checked = { servername, ca: cert, rejectUnauthorized: true, headers: { Host: 'h' } };
    t.is((await get(checked)).body.toLowerCase(), servername.toLowerCase());
  }
  const { serial } = await get({
    servername: 'localhost',
    ca: main.cert,
    rejectUnauthorized: true,
  });
  for (const servername of ['b.example', 'x.a.example', 'other.example']) {
    t.is((await get({ servername })).serial, serial, servername);
  }
  // Nobody is named.
  t.like(await get({ servername: '' }), { serial, body: '' });
});

test('without a default other names fail, and so does no name', async (t) => {
  const { get } = await startHttps(t, { sni: { 'a.example': pair(exact) } });
  t.is((await get({ servername: 'a.example' })).body, 'hello');
  for (const servername of ['b.example', '']) {
    t.regex(
      await failure(get({ servername })),
      /unrecognized|alert|ECONNRESET|EPROTO/i,
      servername,
    );
  }
});

test('versions and protocols can be different for each name', async (t) => {
  const { connect } = await startHttps(t, {
    ...pair(main),
    sni: {
      'new.example': { minVersion: 'TLSv1.3' },
      'old.example': { maxVersion: 'TLSv1.2' },
      'h1.example': { protocols: 'http1' },
      'h2.example': { protocols: 'http2' },
    },
  });
  t.is((await connect({ servername: 'old.example' })).getProtocol(), 'TLSv1.2');
  t.is((await connect({ servername: 'new.example' })).getProtocol(), 'TLSv1.3');
  t.regex(
    await failure(connect({ servername: 'new.example', maxVersion: 'TLSv1.2' })),
    /alert|EPROTO|version/i,
  );
  const both = ['h2', 'http/1.1'];
  for (const [servername, offered, chosen] of [
    ['localhost', both, 'h2'],
    ['localhost', ['http/1.1'], 'http/1.1'],
    ['h1.example', both, 'http/1.1'],
    ['h2.example', both, 'h2'],
  ] as const) {
    const socket = await connect({ servername, ALPNProtocols: [...offered] });
    t.is(socket.alpnProtocol, chosen, `${servername} ${offered.join()}`);
    socket.destroy();
  }
  t.regex(
    await failure(connect({ servername: 'h1.example', ALPNProtocols: ['h2'] })),
    /no application protocol|alert/i,
  );
});
