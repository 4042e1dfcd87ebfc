import type { ExecutionContext } from 'ava';
import test from 'ava';
import { serve } from '../../lib/hosting/serve.js';
import type { ServerOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { startServer } from '../support/wire-server.js';

const application = createApplication(({ response }) => response.text('a'));

type Thrown = Error & { readonly code?: unknown };

/** Expects the options to be refused, with an error that names the option and shows the value. */
function refuses(
  t: ExecutionContext,
  options: unknown,
  type: new (...args: never[]) => Error,
  ...named: readonly string[]
): void {
  const error = t.throws(() => new WindhoverServer(options as ServerOptions), undefined, named[0]);
  const { code, message } = error as Thrown;
  t.is(code, 'WH_ERR_INVALID_OPTION', message);
  t.true(error instanceof type, `${message}: ${error.name}`);
  for (const word of named) t.true(message.includes(word), `${message} does not name ${word}`);
}

const LIMITS = [
  { name: 'maxRequestLineSize', least: 64, most: 1 << 20, open: false },
  { name: 'maxRequestHeadersTotalSize', least: 64, most: 1 << 24, open: false },
  { name: 'maxRequestHeaderCount', least: 1, most: 10_000, open: false },
  { name: 'maxRequestBodySize', least: 0, most: Number.MAX_SAFE_INTEGER, open: true },
  { name: 'maxRequestBufferSize', least: 64, most: Number.MAX_SAFE_INTEGER, open: true },
  { name: 'maxResponseBufferSize', least: 0, most: Number.MAX_SAFE_INTEGER, open: true },
  { name: 'keepAliveTimeout', least: 1, most: 2_147_483_647, open: true },
  { name: 'requestHeadersTimeout', least: 1, most: 2_147_483_647, open: true },
  { name: 'handshakeTimeout', least: 1, most: 2_147_483_647, open: true },
  { name: 'maxPipelinedRequests', least: 1, most: 1024, open: false },
] as const;

/** With these none of the others is too large for the request buffer, or that too small for them. */
const fitting = {
  maxRequestBufferSize: null,
  maxRequestLineSize: 64,
  maxRequestHeadersTotalSize: 64,
};

/** What is no number, and how a message shows it. */
const NO_NUMBERS: readonly (readonly [value: unknown, shown: string])[] = [
  ['5', "'5'"],
  [true, 'true'],
  [10n, '10'],
  [{}, 'an object'],
  [[5], 'an object'],
  [() => 5, 'a function'],
  [Symbol('five'), 'a symbol'],
];

for (const { name, least, most, open } of LIMITS) {
  test(`limits.${name} is checked`, (t) => {
    const limit = (value: unknown): unknown => ({ limits: { ...fitting, [name]: value } });
    for (const value of [least - 1, -1, 1.5, NaN, -Infinity]) {
      refuses(t, limit(value), RangeError, `limits.${name}`, String(value));
    }
    if (most !== Number.MAX_SAFE_INTEGER) {
      refuses(t, limit(most + 1), RangeError, `limits.${name}`, String(most + 1));
    }
    for (const [value, shown] of NO_NUMBERS) {
      refuses(t, limit(value), TypeError, `limits.${name}`, shown);
    }
    for (const value of [least, most, undefined]) {
      t.notThrows(() => new WindhoverServer(limit(value) as ServerOptions));
    }
    if (open) {
      t.notThrows(() => new WindhoverServer(limit(null) as ServerOptions));
      t.notThrows(() => new WindhoverServer(limit(Infinity) as ServerOptions));
    } else {
      refuses(t, limit(null), TypeError, `limits.${name}`, 'null');
      refuses(t, limit(Infinity), RangeError, `limits.${name}`, 'Infinity');
    }
  });
}

test('what has to fit into the request buffer must not be larger than it', (t) => {
  for (const [limits, ...named] of [
    [{ maxRequestBufferSize: 32_767 }, '32767', 'maxRequestHeadersTotalSize', '32768'],
    [{ maxRequestHeadersTotalSize: 1_048_577 }, '1048576', 'maxRequestHeadersTotalSize', '1048577'],
    [
      { maxRequestBufferSize: 40_000, maxRequestLineSize: 40_001 },
      '40000',
      'maxRequestLineSize',
      '40001',
    ],
  ] as const) {
    refuses(t, { limits }, RangeError, 'limits.maxRequestBufferSize', ...named);
  }
  for (const limits of [
    { maxRequestBufferSize: 32_768 },
    { maxRequestBufferSize: null, maxRequestHeadersTotalSize: 16_000_000 },
    { maxRequestBufferSize: 2_000_000, maxRequestHeadersTotalSize: 2_000_000 },
  ]) {
    t.notThrows(() => new WindhoverServer({ limits }));
  }
});

test('limits must be an object with known names', (t) => {
  for (const [value, shown] of [
    [5, '5'],
    [null, 'null'],
    ['a', "'a'"],
    [[], 'an array'],
  ] as const) {
    refuses(t, { limits: value }, TypeError, 'limits', shown);
  }
  refuses(t, { limits: { maxRequestBodysize: 5 } }, TypeError, 'limits.maxRequestBodysize');
  t.notThrows(() => new WindhoverServer({ limits: { nothing: undefined } as object }));
});

test('limits of HTTP/2 are checked by their names', (t) => {
  for (const [http2, type, ...named] of [
    [null, TypeError, 'limits.http2', 'null'],
    [{ maxStreams: 1 }, TypeError, 'limits.http2.maxStreams', 'maxStreamsPerConnection'],
    [{ maxStreamsPerConnection: 0 }, RangeError, 'limits.http2.maxStreamsPerConnection', '0'],
    [{ maxStreamsPerConnection: null }, TypeError, 'limits.http2.maxStreamsPerConnection', 'null'],
    [{ maxFrameSize: 16_383 }, RangeError, 'limits.http2.maxFrameSize', '16383'],
    [{ keepAlivePingDelay: '1s' }, TypeError, 'limits.http2.keepAlivePingDelay', "'1s'"],
  ] as const) {
    refuses(t, { limits: { http2 } }, type, ...named);
  }
  for (const http2 of [undefined, {}, { maxPings: null, keepAlivePingDelay: 1000 }]) {
    t.notThrows(() => new WindhoverServer({ limits: { http2 } }));
  }
});

test('what http1 lets through is checked', (t) => {
  for (const [value, shown] of [
    [5, '5'],
    [null, 'null'],
    ['a', "'a'"],
    [[], 'an array'],
  ] as const) {
    refuses(t, { http1: value }, TypeError, 'http1', shown);
  }
  for (const name of [
    'allowRawQueryCharacters',
    'allowBareLineFeed',
    'allowHostHeaderOverride',
  ] as const) {
    refuses(t, { http1: { [name]: 1 } }, TypeError, `http1.${name}`, '1');
    refuses(t, { http1: { [name]: null } }, TypeError, `http1.${name}`, 'null');
    for (const value of [true, false, undefined]) {
      t.notThrows(() => new WindhoverServer({ http1: { [name]: value } }));
    }
  }
  refuses(t, { http1: { allowBareLinefeed: true } }, TypeError, 'http1.allowBareLinefeed');
});

test('addServerHeader and busyPoll are checked', (t) => {
  for (const [value, shown] of [
    ['yes', "'yes'"],
    [1, '1'],
    [null, 'null'],
  ] as const) {
    refuses(t, { addServerHeader: value }, TypeError, 'addServerHeader', shown);
  }
  for (const value of [-1, 1.5, NaN, Infinity, 1_000_001]) {
    refuses(t, { busyPoll: value }, RangeError, 'busyPoll', String(value));
  }
  for (const [value, shown] of [
    ['always', "'always'"],
    [true, 'true'],
    [null, 'null'],
    [{}, 'an object'],
    [Object.create(null), 'an object'],
    [Symbol('a'), 'Symbol(a)'],
    [5n, '5'],
  ] as const) {
    refuses(t, { busyPoll: value }, TypeError, 'busyPoll', shown);
  }
  for (const busyPoll of ['adaptive', false, 0, 50, 1_000_000] as const) {
    t.notThrows(() => new WindhoverServer({ busyPoll }));
  }
});

test('unknown options are refused, and options that are no object', (t) => {
  refuses(t, { addserverheader: true }, TypeError, 'addserverheader', 'addServerHeader');
  refuses(t, { endpoints: 5 }, TypeError, 'endpoints', '5');
  refuses(t, { endpoints: { port: 0 } }, TypeError, 'endpoints', 'an object');
  for (const options of [5, 'a', null, true]) {
    t.throws(() => new WindhoverServer(options as ServerOptions), {
      code: 'WH_ERR_INVALID_ARGUMENT',
      instanceOf: TypeError,
    });
  }
  t.notThrows(() => new WindhoverServer());
});

test('getters that throw come through as they are', (t) => {
  const error = new Error('mine');
  const getter = {
    get(): never {
      throw error;
    },
    enumerable: true,
  };
  for (const path of ['limits', 'busyPoll', 'endpoints', 'addServerHeader']) {
    const options = Object.defineProperty({}, path, getter);
    t.is(
      t.throws(() => new WindhoverServer(options)),
      error,
    );
  }
  const limits = Object.defineProperty({}, 'keepAliveTimeout', getter);
  t.is(
    t.throws(() => new WindhoverServer({ limits })),
    error,
  );
});

test('endpoints are checked, each by its number', (t) => {
  const rows: readonly (readonly [
    endpoint: unknown,
    type: typeof TypeError | typeof RangeError,
    ...named: string[],
  ])[] = [
    [5, TypeError, 'endpoints[1]', '5'],
    [null, TypeError, 'endpoints[1]', 'null'],
    ['http://localhost', TypeError, 'endpoints[1]', "'http://localhost'"],
    [[], TypeError, 'endpoints[1]', 'an array'],
    [{}, TypeError, 'endpoints[1]', "'url'", "'path'", "'port'"],
    [{ host: 'localhost' }, TypeError, 'endpoints[1]', "'port'"],
    [{ url: 'http://localhost', port: 5 }, TypeError, 'endpoints[1]'],
    [{ url: 'http://localhost', path: '/a' }, TypeError, 'endpoints[1]'],
    [{ url: 'http://localhost', host: 'h' }, TypeError, 'endpoints[1].host'],
    [{ url: 5 }, TypeError, 'endpoints[1].url', '5'],
    [{ url: null }, TypeError, 'endpoints[1].url', 'null'],
    [{ port: '80' }, TypeError, 'endpoints[1].port', "'80'"],
    [{ port: -1 }, RangeError, 'endpoints[1].port', '-1'],
    [{ port: 65_536 }, RangeError, 'endpoints[1].port', '65536'],
    [{ port: 1.5 }, RangeError, 'endpoints[1].port', '1.5'],
    [{ port: NaN }, RangeError, 'endpoints[1].port', 'NaN'],
    [{ port: 0, host: 5 }, TypeError, 'endpoints[1].host', '5'],
    [{ port: 0, hots: 'h' }, TypeError, 'endpoints[1].hots'],
    [{ port: 0, mode: 0o600 }, TypeError, 'endpoints[1].mode'],
    [{ port: 0, protocols: 'http3' }, TypeError, 'endpoints[1].protocols', "'http3'"],
    [{ port: 0, protocols: 5 }, TypeError, 'endpoints[1].protocols', '5'],
    [{ port: 0, https: 5 }, TypeError, 'endpoints[1].https', '5'],
    [{ path: 5 }, TypeError, 'endpoints[1].path', '5'],
    [{ path: '/a', mode: '600' }, TypeError, 'endpoints[1].mode', "'600'"],
    [{ path: '/a', mode: 0o1000 }, RangeError, 'endpoints[1].mode', '512'],
    [{ path: '/a', owner: 5 }, TypeError, 'endpoints[1].owner', '5'],
    [{ path: '/a', owner: {} }, TypeError, 'endpoints[1].owner.uid', 'undefined'],
    [{ path: '/a', owner: { uid: 0, gid: -1 } }, RangeError, 'endpoints[1].owner.gid', '-1'],
  ];
  for (const [endpoint, type, ...named] of rows) {
    refuses(t, { endpoints: [{ port: 0 }, endpoint] }, type, ...named);
  }
});

test('an endpoint that cannot be understood fails the start, naming it, and listens nowhere', async (t) => {
  const rows = [
    [{ url: 'http://' }, 'http://'],
    [{ url: 'localhost:5000' }, 'localhost:5000'],
    [{ url: 'ftp://localhost' }, 'ftp://localhost'],
    [{ url: 'http://localhost:x' }, 'http://localhost:x'],
    [{ url: 'http://localhost:99999' }, 'http://localhost:99999'],
    [{ url: 'http://localhost:5000/base' }, '/base'],
    [{ url: '' }, ''],
    [{ path: 'relative.sock' }, 'relative.sock'],
    [{ path: `/tmp/${'x'.repeat(200)}` }, 'x'],
    [{ path: '/does/not/exist/app.sock' }, '/does/not/exist/app.sock'],
    [{ host: '192.0.2.1', port: 0 }, '192.0.2.1'],
  ] as const;
  for (const [endpoint, named] of rows) {
    const server = new WindhoverServer({
      endpoints: [{ host: '127.0.0.1', port: 0 }, endpoint],
    });
    const error = await t.throwsAsync<Thrown>(
      server.start(application),
      undefined,
      JSON.stringify(endpoint),
    );
    t.regex(String(error.code), /^WH_ERR_/, error.message);
    t.true(error.message.includes(named), error.message);
    t.deepEqual(server.addresses, []);
  }
});

test('start and stop refuse what is no application and no signal', async (t) => {
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  const good = {
    createContext: () => undefined,
    processRequest: () => undefined,
    disposeContext: () => undefined,
  };
  for (const bad of [
    undefined,
    null,
    5,
    'a',
    () => undefined,
    {},
    { ...good, createContext: undefined },
    { ...good, processRequest: 5 },
    { ...good, disposeContext: null },
  ]) {
    await t.throwsAsync(server.start(bad as never), {
      code: 'WH_ERR_INVALID_ARGUMENT',
      instanceOf: TypeError,
    });
  }
  for (const bad of [null, 5, {}, 'now', new AbortController()]) {
    const expected = { code: 'WH_ERR_INVALID_ARGUMENT', instanceOf: TypeError };
    await t.throwsAsync(server.start(good, bad as never), expected);
    await t.throwsAsync(server.stop(bad as never), expected);
  }
  await server.start(good);
  for (const bad of [null, 5, {}, 'now']) {
    await t.throwsAsync(server.stop(bad as never), { code: 'WH_ERR_INVALID_ARGUMENT' });
  }
  t.is(server.addresses.length, 1);
  await server.stop();
});

test('serve and createApplication refuse wrong types', async (t) => {
  const expected = { code: 'WH_ERR_INVALID_ARGUMENT', instanceOf: TypeError };
  const handler = (): void => undefined;
  for (const bad of [undefined, null, 5, {}]) {
    t.throws(() => createApplication(bad as never), expected);
    await t.throwsAsync(serve({ urls: 'http://127.0.0.1:0' }, bad as never), expected);
    if (bad !== undefined)
      t.throws(() => createApplication(handler, { onError: bad as never }), expected);
  }
  for (const bad of [null, 5, 'a']) {
    t.throws(() => createApplication(handler, bad as never), expected);
    await t.throwsAsync(serve(bad as never, handler), expected);
  }
  for (const bad of [5, {}, [5], [null]]) {
    await t.throwsAsync(serve({ urls: bad as never }, handler), expected);
  }
  await t.throwsAsync(serve({ endpoints: 5 as never }, handler), {
    code: 'WH_ERR_INVALID_ARGUMENT',
  });
  await t.throwsAsync(serve({ nonsense: 5 } as never, handler), { code: 'WH_ERR_INVALID_OPTION' });
});

test('options are taken when the server is made: changes afterwards have no effect', async (t) => {
  const limits = { maxRequestBodySize: 5 };
  const endpoints = [{ host: '127.0.0.1', port: 0 }];
  const server = new WindhoverServer({ limits, endpoints });
  limits.maxRequestBodySize = -5;
  endpoints.length = 0;
  await server.start(application);
  t.is(server.addresses.length, 1);
  await server.stop();
});

test('every variant of busyPoll serves', async (t) => {
  for (const busyPoll of ['adaptive', false, 0, 200] as const) {
    const { connect } = await startServer(
      t,
      async ({ response }) => {
        await new Promise((resolve) => setImmediate(resolve));
        await response.text('a');
      },
      { busyPoll },
    );
    const client = await connect();
    for (let i = 0; i < 200; i++) {
      const answer = await client.request('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      t.is(answer.text, 'a');
    }
  }
});
