/** What proxies tell, and whose word counts; by bytes on a wire. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { forwardedHeaders } from '../../lib/middleware/forwarded-headers.js';
import type { ForwardedHeadersOptions } from '../../lib/middleware/forwarded-options.js';
import { compose } from '../../lib/hosting/pipeline.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import type { Seen } from '../support/echo.js';
import { echo, startEcho } from '../support/echo.js';
import { RawClient } from '../support/raw-client.js';
import { collectWarnings } from '../support/warnings.js';

const ALL = ['xForwardedFor', 'xForwardedProto', 'xForwardedHost', 'xForwardedPrefix'] as const;
const ME = { knownProxies: ['127.0.0.1'] };

test.serial(
  'nobody is trusted by default, not the loopback either, and a warning says so once',
  async (t) => {
    const warnings = collectWarnings(t);
    const ask = await startEcho(t, forwardedHeaders());
    for (let i = 0; i < 3; i++) {
      const seen = await ask('X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https');
      t.is(seen.address, '127.0.0.1');
      t.not(seen.port, 0);
      t.is(seen.scheme, 'http');
      t.deepEqual(seen.fields, { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' });
    }
    t.deepEqual(
      warnings.map(({ code }) => code),
      ['WH_WARN_FORWARDED_HEADERS_UNTRUSTED'],
    );
    t.regex(warnings[0].message, /X-Forwarded-For came from 127\.0\.0\.1.*knownProxies/);
  },
);

test.serial('no warning where nothing is forwarded, or the proxy is known', async (t) => {
  const warnings = collectWarnings(t);
  const stranger = await startEcho(t, forwardedHeaders());
  t.is((await stranger('X-Forwarded-Host: not.read', 'Forwarded: for=a')).address, '127.0.0.1');
  const known = await startEcho(t, forwardedHeaders(ME));
  t.is((await known('X-Forwarded-For: 192.0.2.1')).address, '192.0.2.1');
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(warnings, []);
});

test('a known proxy tells client and scheme; what was replaced is kept', async (t) => {
  const ask = await startEcho(t, forwardedHeaders(ME));
  const seen = await ask(
    'X-Forwarded-For: 192.0.2.1:8080',
    'X-Forwarded-Proto: HTTPS',
    'X-Forwarded-Host: evil',
  );
  t.like(seen, { address: '192.0.2.1', port: 8080, scheme: 'https', host: 'inner.example' });
  t.regex(seen.fields['x-original-for'] ?? '', /^127\.0\.0\.1:[1-9][0-9]*$/);
  t.is(seen.fields['x-original-proto'], 'http');
  t.is(seen.fields['x-forwarded-for'], undefined);
  t.is(seen.fields['x-forwarded-proto'], undefined);
  t.is(seen.fields['x-forwarded-host'], 'evil');
  t.is(seen.fields['x-original-host'], undefined);
});

test('the next request on the connection has its own words', async (t) => {
  const ask = await startEcho(t, forwardedHeaders(ME));
  t.is((await ask('X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https')).address, '192.0.2.1');
  const plain = await ask();
  t.like(plain, { address: '127.0.0.1', scheme: 'http', fields: {} });
  t.not(plain.port, 0);
});

test('host and prefix', async (t) => {
  const ask = await startEcho(t, forwardedHeaders({ ...ME, forwardedHeaders: [...ALL] }));
  const seen = await ask(
    'X-Forwarded-Host: shop.example:8443',
    'X-Forwarded-Prefix: /a%20b/c%2Fd/',
  );
  t.like(seen, { host: 'shop.example:8443', pathBase: '/a b/c%2Fd', path: '/path' });
  t.is(seen.fields['x-original-host'], 'inner.example');
  t.is(seen.fields['x-original-prefix'], undefined);
  t.is((await ask('X-Forwarded-Prefix: /')).pathBase, '');
  t.is((await ask('X-Forwarded-Host: [2001:db8::1]:80')).host, '[2001:db8::1]:80');
});

test('what is wrong is ignored', async (t) => {
  const ask = await startEcho(t, forwardedHeaders({ ...ME, forwardedHeaders: [...ALL] }));
  const wrong: string[] = [
    ...['a b', 'a/b', 'a:b', 'a:99999', 'user@h', '[::1', '[1.2.3.4]', 'a..b', '-a', ','],
  ].map((host) => `X-Forwarded-Host: ${host}`);
  for (const scheme of ['ftp', 'javascript', 'https:', '"https"', ',']) {
    wrong.push(`X-Forwarded-Proto: ${scheme}`);
  }
  for (const prefix of [
    'a',
    '//evil.example',
    '/a/../b',
    '/a//b',
    '/a?b',
    '/a%',
    '/%ff',
    '/a%0db',
    '/a\\b',
    '/%2e%2e',
  ]) {
    wrong.push(`X-Forwarded-Prefix: ${prefix}`);
  }
  for (const address of [
    'unknown',
    '_hidden',
    '1.2.3',
    '1.2.3.4:x',
    '::1%lo',
    'a.example',
    '"1.2.3.4"',
    ',',
  ]) {
    wrong.push(`X-Forwarded-For: ${address}`);
  }
  for (const line of wrong) {
    const seen = await ask(line);
    t.like(
      seen,
      { address: '127.0.0.1', scheme: 'http', host: 'inner.example', pathBase: '' },
      line,
    );
    t.false(
      Object.keys(seen.fields).some((name) => name.startsWith('x-original')),
      line,
    );
  }
});

test('the scheme of a WebSocket is that of its handshake', async (t) => {
  const ask = await startEcho(t, forwardedHeaders(ME));
  t.is((await ask('X-Forwarded-Proto: wss')).scheme, 'https');
  t.is((await ask('X-Forwarded-Proto: ws')).scheme, 'http');
});

const WALKS: [
  string,
  ForwardedHeadersOptions,
  readonly string[],
  Partial<Seen>,
  string | undefined,
][] = [
  [
    'one hop by default',
    ME,
    ['X-Forwarded-For: 6.6.6.6, 192.0.2.1'],
    { address: '192.0.2.1' },
    '6.6.6.6',
  ],
  [
    'two hops, both known',
    { knownProxies: ['127.0.0.1', '10.0.0.1'], forwardLimit: 2 },
    ['X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1'],
    { address: '192.0.2.1' },
    '6.6.6.6',
  ],
  [
    'an unknown hop ends it',
    { ...ME, forwardLimit: null },
    ['X-Forwarded-For: 6.6.6.6, 192.0.2.1', 'X-Forwarded-Proto: http, https'],
    { address: '192.0.2.1', scheme: 'https' },
    '6.6.6.6',
  ],
  [
    'no limit, networks',
    { knownNetworks: ['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8'], forwardLimit: null },
    ['X-Forwarded-For: 192.0.2.1, 10.9.9.9, fd12::1', 'X-Forwarded-For: [fd12::2]:80'],
    { address: '192.0.2.1' },
    undefined,
  ],
  [
    'an IPv4-mapped hop is its IPv4 address',
    { knownNetworks: ['127.0.0.0/8', '10.0.0.0/8'], forwardLimit: null },
    ['X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.1'],
    { address: '192.0.2.1' },
    undefined,
  ],
  [
    'an entry that cannot be read ends it',
    { knownNetworks: ['0.0.0.0/0'], forwardLimit: null },
    ['X-Forwarded-For: 192.0.2.1, unknown, 192.0.2.2'],
    { address: '192.0.2.2' },
    '192.0.2.1, unknown',
  ],
  [
    'each hop has told its own scheme',
    { knownNetworks: ['127.0.0.0/8', '10.0.0.0/8'], forwardLimit: null },
    ['X-Forwarded-For: 192.0.2.1, 10.0.0.1', 'X-Forwarded-Proto: https, http'],
    { address: '192.0.2.1', scheme: 'https' },
    undefined,
  ],
  [
    'a scheme without an address counts for the nearest hop only',
    { ...ME, forwardLimit: null },
    ['X-Forwarded-Proto: https, http'],
    { address: '127.0.0.1', scheme: 'http' },
    undefined,
  ],
];

for (const [name, options, lines, expected, rest] of WALKS) {
  test(`the walk: ${name}`, async (t) => {
    const seen = await (await startEcho(t, forwardedHeaders(options)))(...lines);
    t.like(seen, expected);
    t.is(seen.fields['x-forwarded-for'], rest);
  });
}

test('symmetry, where it is required', async (t) => {
  const ask = await startEcho(
    t,
    forwardedHeaders({
      ...ME,
      requireHeaderSymmetry: true,
      knownNetworks: ['10.0.0.0/8'],
      forwardLimit: 2,
    }),
  );
  const unequal = await ask('X-Forwarded-For: 192.0.2.1, 10.0.0.1', 'X-Forwarded-Proto: https');
  t.like(unequal, { address: '127.0.0.1', scheme: 'http' });
  const bad = await ask('X-Forwarded-For: 192.0.2.1, 10.0.0.1', 'X-Forwarded-Proto: ftp, https');
  t.like(bad, { address: '127.0.0.1', scheme: 'http' });
  const equal = await ask('X-Forwarded-For: 192.0.2.1, 10.0.0.1', 'X-Forwarded-Proto: https, http');
  t.like(equal, { address: '192.0.2.1', scheme: 'https' });
});

test('only allowed hosts can be told', async (t) => {
  const ask = await startEcho(
    t,
    forwardedHeaders({
      ...ME,
      forwardedHeaders: ['xForwardedHost'],
      allowedHosts: ['*.example.com', 'b\xfccher.example'],
    }),
  );
  t.is((await ask('X-Forwarded-Host: Shop.Example.com:81')).host, 'Shop.Example.com:81');
  t.is((await ask('X-Forwarded-Host: xn--bcher-kva.example')).host, 'xn--bcher-kva.example');
  for (const host of ['example.com', 'example.com.evil', 'evilexample.com', '.example.com']) {
    t.is((await ask(`X-Forwarded-Host: ${host}`)).host, 'inner.example', host);
  }
});

test('other names', async (t) => {
  const ask = await startEcho(
    t,
    forwardedHeaders({
      ...ME,
      forwardedForHeaderName: 'X-Real-IP',
      originalForHeaderName: 'X-Peer',
    }),
  );
  const seen = await ask('X-Real-IP: 192.0.2.1', 'X-Forwarded-For: 6.6.6.6');
  t.is(seen.address, '192.0.2.1');
  t.regex(seen.fields['x-peer'] ?? '', /^127\.0\.0\.1:/);
  t.is(seen.fields['x-forwarded-for'], '6.6.6.6');
});

test('a client cannot send what was original', async (t) => {
  const lines = ['For', 'Proto', 'Host', 'Prefix'].map((name) => `X-Original-${name}: lie`);
  for (const options of [ME, {}]) {
    const seen = await (await startEcho(t, forwardedHeaders(options)))(...lines);
    t.deepEqual(seen.fields, {});
  }
});

const STANDARD: [string, Partial<Seen>, string | undefined][] = [
  [
    'for=192.0.2.1;proto=https;host=shop.example',
    { address: '192.0.2.1', scheme: 'https', host: 'shop.example' },
    undefined,
  ],
  [
    'for="[2001:db8::1]:4711";host="shop.example:81"',
    { address: '2001:db8::1', port: 4711, host: 'shop.example:81' },
    undefined,
  ],
  ['for="a, b;c=\\"", for=192.0.2.1', { address: '192.0.2.1' }, 'for="a, b;c=\\""'],
  // Who cannot be told stays the proxy; what else it says counts, and nothing before it.
  [
    'for=6.6.6.6;proto=http, for=_hidden;proto=https',
    { address: '127.0.0.1', scheme: 'https' },
    'for=6.6.6.6;proto=http',
  ],
  ['for=unknown;host=shop.example', { address: '127.0.0.1', host: 'shop.example' }, undefined],
  // A quote that a client left open does not swallow the proxy's word.
  ['for="6.6.6.6, for=192.0.2.1;proto=https', { address: '192.0.2.1', scheme: 'https' }, undefined],
  [
    'for=2001:db8::1;proto=https',
    { address: '127.0.0.1', scheme: 'http' },
    'for=2001:db8::1;proto=https',
  ],
  [
    'for="2001:db8::1";proto=https',
    { address: '127.0.0.1', scheme: 'http' },
    'for="2001:db8::1";proto=https',
  ],
  ['for=192.0.2.1;for=192.0.2.2', { address: '127.0.0.1' }, 'for=192.0.2.1;for=192.0.2.2'],
  ['nonsense', { address: '127.0.0.1' }, 'nonsense'],
];

for (const [value, expected, rest] of STANDARD) {
  test(`Forwarded: ${value}`, async (t) => {
    const ask = await startEcho(
      t,
      forwardedHeaders({ ...ME, forwardedHeaders: ['forwarded'], forwardLimit: null }),
    );
    const seen = await ask(`Forwarded: ${value}`, 'X-Forwarded-For: 7.7.7.7');
    t.like(seen, expected);
    t.is(seen.fields['forwarded'], rest);
    t.is(seen.fields['x-forwarded-for'], '7.7.7.7');
  });
}

test('Forwarded in several lines, through several proxies', async (t) => {
  const ask = await startEcho(
    t,
    forwardedHeaders({
      knownNetworks: ['127.0.0.0/8', '10.0.0.0/8'],
      forwardedHeaders: ['forwarded'],
      forwardLimit: null,
    }),
  );
  const seen = await ask(
    'Forwarded: for=6.6.6.6, for=192.0.2.1;proto=https',
    'Forwarded: for=10.0.0.1',
  );
  t.like(seen, { address: '192.0.2.1', scheme: 'https' });
  t.is(seen.fields['forwarded'], 'for=6.6.6.6');
  const broken = await ask('Forwarded: for="', 'Forwarded: for=10.0.0.1;host="a.example"');
  t.like(broken, { address: '10.0.0.1', host: 'a.example' });
});

test('a Unix socket is a proxy where it is named', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-forwarded-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  for (const [i, [knownProxies, expected]] of (
    [
      [['unix'], { address: '192.0.2.1', port: 0, scheme: 'https' }],
      [['127.0.0.1'], { address: null, port: 0, scheme: 'http' }],
    ] as const
  ).entries()) {
    const path = join(folder, `${String(i)}.sock`);
    const server = new WindhoverServer({ endpoints: [{ path }] });
    await server.start(createApplication(compose([forwardedHeaders({ knownProxies })], echo)));
    const client = await RawClient.connect({ path });
    const { text } = await client.request(
      'GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n',
    );
    const seen = JSON.parse(text) as Seen;
    t.like(seen, expected);
    t.is(seen.fields['x-original-for'], undefined);
    client.destroy();
    await server.stop();
  }
});

const MISTAKES: [object, ErrorConstructor, RegExp][] = [
  [{ knownProxy: [] }, TypeError, /no option 'forwardedHeaders\.knownProxy'/],
  [
    { knownProxies: '127.0.0.1' },
    TypeError,
    /'forwardedHeaders\.knownProxies' must be an array of strings, not '127/,
  ],
  [
    { knownProxies: ['10.0.0.0/8'] },
    RangeError,
    /knownProxies\[0\]' must be an IP address or 'unix', not '10\.0\.0\.0\/8'/,
  ],
  [{ knownNetworks: ['10.0.0.1'] }, RangeError, /knownNetworks\[0\]' must be a network/],
  [{ knownNetworks: ['10.0.0.0/33'] }, RangeError, /not '10\.0\.0\.0\/33'/],
  [
    { knownNetworks: ['::/0', '10.0.0.1/8'] },
    RangeError,
    /knownNetworks\[1\]' .* without bits behind its prefix, not/,
  ],
  [{ knownNetworks: ['fd00::1/64'] }, RangeError, /not 'fd00::1\/64'/],
  [
    { forwardLimit: 0 },
    RangeError,
    /forwardLimit' must be a whole number from 1, or null for no limit, not 0/,
  ],
  [{ forwardLimit: '1' }, TypeError, /forwardLimit' .* not '1'/],
  [
    { forwardedHeaders: ['X-Forwarded-For'] },
    RangeError,
    /forwardedHeaders\[0\]' must be one of .* not 'X-Forwarded-For'/,
  ],
  [{ forwardedHeaders: ['forwarded', 'xForwardedFor'] }, RangeError, /either/],
  [{ allowedHosts: ['a/b'] }, RangeError, /allowedHosts\[0\]' must be a host .* not 'a\/b'/],
  [{ requireHeaderSymmetry: 1 }, TypeError, /requireHeaderSymmetry' must be a boolean, not 1/],
  [{ forwardedForHeaderName: 'a b' }, RangeError, /forwardedForHeaderName' .* not 'a b'/],
  [
    { originalForHeaderName: 'x-forwarded-for' },
    RangeError,
    /originalForHeaderName' .* that of forwardedForHeaderName/,
  ],
] as never;

for (const [options, type, message] of MISTAKES) {
  test(`a mistake: ${JSON.stringify(options)}`, (t) => {
    const error = t.throws(() => forwardedHeaders(options), {
      code: 'WH_ERR_INVALID_OPTION',
      message,
    });
    t.true(error instanceof type);
  });
}

test('networks without bits behind their prefixes are fine', (t) => {
  t.notThrows(() =>
    forwardedHeaders({
      knownNetworks: [
        '0.0.0.0/0',
        '::/0',
        '10.128.0.0/9',
        'fd12:3456::/32',
        '::ffff:10.0.0.0/104',
        '::1/128',
      ],
    }),
  );
});
