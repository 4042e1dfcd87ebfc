/** HTTPS. */
import type { RequestOptions } from 'node:https';
import {
  certificateAuthority,
  clientCertificate,
  serverCertificate,
} from '../support/certificates.js';
import { failure, get as getBy } from '../support/https-server.js';
import type { Case } from './case.js';

const own = serverCertificate(['localhost']);
const other = serverCertificate(['other.test']);
const authority = certificateAuthority('authority');
const client = clientCertificate('somebody', { issuer: authority });
const stranger = clientCertificate('stranger');
const { cert, key } = own;

interface TlsTold {
  readonly [name: string]: unknown;
}

async function ask(port: number, options: RequestOptions = {}): Promise<TlsTold> {
  return JSON.parse((await getBy({ port, path: '/tls', ...options })).body) as TlsTold;
}

export const httpsCases: readonly Case[] = [
  {
    name: 'HTTPS: the handshake is told',
    setup: { https: { cert, key } },
    run: async (t, server) => {
      t.regex(server.url, /^https:/);
      t.like(await ask(server.port, { servername: 'localhost' }), {
        protocol: 'TLSv1.3',
        hostName: 'localhost',
        binding: 32,
        client: undefined,
        verified: false,
      });
      t.true([128, 256].includes(Number((await ask(server.port))['bits'])));
      const old = await ask(server.port, { maxVersion: 'TLSv1.2' });
      t.is(old['protocol'], 'TLSv1.2');
      const told = await getBy({ port: server.port, path: '/request' });
      t.like(JSON.parse(told.body), { scheme: 'https', protocol: 'HTTP/1.1' });
    },
  },
  {
    name: 'HTTPS: each host name has its certificate',
    setup: { https: { cert, key, sni: { 'Other.test': { cert: other.cert, key: other.key } } } },
    run: async (t, server) => {
      const serial = async (servername: string): Promise<string> =>
        (await getBy({ port: server.port, path: '/hello', servername })).serial;
      const [one, two] = [await serial('localhost'), await serial('other.test')];
      t.not(one, two);
      t.is(await serial('nobody.test'), one);
    },
  },
  {
    name: 'HTTPS: clients have to show a certificate that is valid',
    setup: {
      https: { cert, key, ca: authority.cert, clientCertificateMode: 'require' },
      protocols: 'http1',
    },
    run: async (t, server) => {
      const told = await ask(server.port, { cert: client.cert, key: client.key });
      t.is(told['verified'], true);
      t.regex(String(told['client']), /CN=somebody/);
      t.not(await failure(ask(server.port)), 'nothing failed');
      const { cert: wrong, key: wrongKey } = stranger;
      t.not(await failure(ask(server.port, { cert: wrong, key: wrongKey })), 'nothing failed');
    },
  },
  {
    name: 'HTTPS: clients may show a certificate',
    setup: { https: { cert, key, ca: authority.cert, clientCertificateMode: 'allow' } },
    run: async (t, server) => {
      t.is((await ask(server.port))['client'], undefined);
      const told = await ask(server.port, { cert: client.cert, key: client.key });
      t.is(told['verified'], true);
    },
  },
];
