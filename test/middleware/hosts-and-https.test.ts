/** Host filtering, redirection to https, and HSTS; by bytes on a wire. */
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { Middleware } from '../../lib/http/middleware.js';
import { compose } from '../../lib/hosting/pipeline.js';
import { forwardedHeaders } from '../../lib/middleware/forwarded-headers.js';
import { hostFiltering } from '../../lib/middleware/host-filtering.js';
import { hsts } from '../../lib/middleware/hsts.js';
import { httpsRedirection } from '../../lib/middleware/https-redirection.js';
import { collectWarnings } from '../support/warnings.js';
import { startServer } from '../support/wire-server.js';

const answer = ({ response }: HttpContext): void => void response.text('fine');

/** What stands before the middleware under test: the scheme is what X-Forwarded-Proto says. */
const proxied = forwardedHeaders({
  knownProxies: ['127.0.0.1'],
  forwardedHeaders: ['xForwardedProto', 'xForwardedPrefix'],
});

const pipeline = (...steps: Middleware[]): ((context: HttpContext) => void | Promise<void>) =>
  compose(steps, answer);

test('hosts that are allowed, and others', async (t) => {
  const { once } = await startServer(
    t,
    pipeline(
      hostFiltering({
        allowedHosts: [
          'Example.com',
          '*.example.org',
          '127.0.0.1',
          '[::1]',
          '2001:DB8::1',
          'b\xfccher.example',
        ],
      }),
    ),
  );
  for (const [host, status] of [
    ['example.com', 200],
    ['EXAMPLE.COM:8080', 200],
    ['example.com.', 400],
    ['www.example.com', 400],
    ['example.org', 400],
    ['a.example.org', 200],
    ['a.b.example.org:1', 200],
    ['evilexample.org', 400],
    ['example.org.evil', 400],
    ['127.0.0.1:80', 200],
    ['127.0.0.2', 400],
    ['[::1]:80', 200],
    ['[2001:db8::1]', 200],
    ['[::2]', 400],
    ['xn--bcher-kva.example', 200],
  ] as const) {
    const { status: actual } = await once(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    t.is(actual, status, host);
  }
});

test('the refusal says why, unless it shall not', async (t) => {
  const request = 'GET / HTTP/1.1\r\nHost: b\r\n\r\n';
  const loud = await startServer(t, pipeline(hostFiltering({ allowedHosts: ['a'] })));
  const told = await loud.once(request);
  t.deepEqual(told.headers.get('content-type'), ['text/html; charset=utf-8']);
  t.regex(told.text, /does not know the host/);
  const quiet = await startServer(
    t,
    pipeline(hostFiltering({ allowedHosts: ['a'], includeFailureMessage: false })),
  );
  const untold = await quiet.once(request);
  t.is(untold.status, 400);
  t.is(untold.text, '');
});

test('requests without a host', async (t) => {
  const request = 'GET / HTTP/1.0\r\n\r\n';
  const open = await startServer(t, pipeline(hostFiltering({ allowedHosts: ['a'] })));
  t.is((await open.once(request)).status, 200);
  const strict = await startServer(
    t,
    pipeline(hostFiltering({ allowedHosts: ['a'], allowEmptyHosts: false })),
  );
  t.is((await strict.once(request)).status, 400);
  t.is((await strict.once('GET / HTTP/1.1\r\nHost:\r\n\r\n')).status, 400);
});

test('everybody, by any of its names', async (t) => {
  for (const allowedHosts of [undefined, ['*'], ['[::]'], ['0.0.0.0', 'a']]) {
    const { once } = await startServer(t, pipeline(hostFiltering({ allowedHosts })));
    t.is((await once('GET / HTTP/1.1\r\nHost: whatever\r\n\r\n')).status, 200);
  }
});

const HTTPS = 'X-Forwarded-Proto: https\r\n';

test.serial('http goes to https: path, query and host stay', async (t) => {
  const { once } = await startServer(t, pipeline(proxied, httpsRedirection({ httpsPort: 8443 })));
  const locationOf = async (target: string, host: string, more = ''): Promise<unknown> => {
    const { status, headers } = await once(
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`,
    );
    return [status, ...(headers.get('location') ?? [])];
  };
  t.deepEqual(await locationOf('/a%20b%2Fc%25?q=%20&x', 'example.com:8080'), [
    307,
    'https://example.com:8443/a%20b%2Fc%25?q=%20&x',
  ]);
  t.deepEqual(await locationOf('//evil.example/', '[::1]'), [
    307,
    'https://[::1]:8443//evil.example/',
  ]);
  t.deepEqual(await locationOf('/%C3%BC', 'h', 'X-Forwarded-Prefix: /pre\r\n'), [
    307,
    'https://h:8443/pre/%C3%BC',
  ]);
  t.deepEqual(await locationOf('/', 'h', HTTPS), [200]);
  t.is((await once('GET / HTTP/1.0\r\n\r\n')).status, 400);
});

test.serial('the default port is not named; another status', async (t) => {
  const { once } = await startServer(
    t,
    pipeline(httpsRedirection({ httpsPort: 443, redirectStatusCode: 308 })),
  );
  const { status, headers } = await once(
    'POST /a HTTP/1.1\r\nHost: h:80\r\nContent-Length: 0\r\n\r\n',
  );
  t.is(status, 308);
  t.deepEqual(headers.get('location'), ['https://h/a']);
});

test.serial('the port of the environment', async (t) => {
  process.env['HTTPS_PORT'] = '9443';
  t.teardown(() => delete process.env['HTTPS_PORT']);
  const { once } = await startServer(t, pipeline(httpsRedirection()));
  const { headers } = await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.deepEqual(headers.get('location'), ['https://h:9443/']);
  for (const wrong of ['no', '0', '70000', '1.5']) {
    process.env['HTTPS_PORT'] = wrong;
    t.throws(() => httpsRedirection(), { code: 'WH_ERR_INVALID_OPTION', message: /HTTPS_PORT/ });
  }
});

test.serial('without a port there is no redirection, and one warning', async (t) => {
  const warnings = collectWarnings(t);
  const several = ['https://a:1', 'https://b:2', 'http://c:3'];
  const { once } = await startServer(
    t,
    pipeline(httpsRedirection({}, { addresses: () => several })),
  );
  for (let i = 0; i < 2; i++) t.is((await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).status, 200);
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['WH_WARN_HTTPS_PORT_UNKNOWN'],
  );
});

test.serial('the port of the server', async (t) => {
  for (const [addresses, port] of [
    [['http://127.0.0.1:80', 'https://127.0.0.1:8443', 'https://[::1]:8443'], ':8443'],
    [['https://example.com/'], ''],
  ] as const) {
    const { once } = await startServer(
      t,
      pipeline(httpsRedirection({}, { addresses: () => addresses })),
    );
    const { headers } = await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    t.deepEqual(headers.get('location'), [`https://h${port}/`]);
  }
});

test('HSTS, over https and for other hosts than this machine', async (t) => {
  const valueOf = async (middleware: Middleware, host: string, more = HTTPS): Promise<unknown> => {
    const { once } = await startServer(t, pipeline(proxied, middleware));
    const { headers } = await once(`GET / HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`);
    return headers.get('strict-transport-security')?.join();
  };
  t.is(await valueOf(hsts(), 'example.com'), 'max-age=2592000');
  t.is(await valueOf(hsts(), 'example.com', ''), undefined);
  for (const host of ['localhost', 'LOCALHOST:5001', '127.0.0.1', '[::1]:5001']) {
    t.is(await valueOf(hsts(), host), undefined, host);
  }
  const all = hsts({
    maxAge: 31_536_000_000,
    includeSubDomains: true,
    preload: true,
    excludedHosts: ['*.test'],
  });
  t.is(await valueOf(all, 'localhost'), 'max-age=31536000; includeSubDomains; preload');
  t.is(await valueOf(all, 'a.test'), undefined);
  t.is(await valueOf(hsts({ maxAge: 0, preload: true }), 'h'), 'max-age=0; preload');
});

for (const [make, message] of [
  [
    () => hostFiltering({ allowedHosts: [] }),
    /'hostFiltering\.allowedHosts' must be a list with at least one/,
  ],
  [
    () => hostFiltering({ allowedHosts: ['http://a'] }),
    /allowedHosts\[0\]' must be a host .*, not 'http:\/\/a'/,
  ],
  [() => hostFiltering({ allowedHosts: ['*.*.a'] }), /not '\*\.\*\.a'/],
  [
    () => hostFiltering({ allowEmptyHosts: 'no' as never }),
    /hostFiltering\.allowEmptyHosts' must be a boolean, not 'no'/,
  ],
  [() => hostFiltering({ hosts: [] } as never), /no option 'hostFiltering\.hosts'/],
  [() => hostFiltering(7 as never), /option 'hostFiltering' must be an object, not 7/],
  [
    () => httpsRedirection({ redirectStatusCode: 303 }),
    /redirectStatusCode' must be 301, 302, 307, 308, not 303/,
  ],
  [
    () => httpsRedirection({ httpsPort: 0 }),
    /httpsRedirection\.httpsPort' must be a port, 1 to 65535, not 0/,
  ],
  [() => httpsRedirection({ httpsPort: '1' as never }), /httpsPort' .*, not '1'/],
  [() => hsts({ maxAge: -1 }), /hsts\.maxAge' must be a number of milliseconds from 0, not -1/],
  [() => hsts({ maxAge: '1d' as never }), /hsts\.maxAge' .*, not '1d'/],
  [
    () => hsts({ excludedHosts: 'localhost' as never }),
    /hsts\.excludedHosts' must be an array of strings/,
  ],
] as const) {
  test(`a mistake: ${String(make).slice(6)}`, (t) => {
    t.throws(make, { code: 'WH_ERR_INVALID_OPTION', message });
  });
}
