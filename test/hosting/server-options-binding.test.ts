import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { loadConfiguration } from '../../lib/hosting/configuration-sources.js';
import { serve } from '../../lib/hosting/serve.js';
import { serverOptionsFromConfiguration } from '../../lib/hosting/server-options-binding.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import type { LaneLimit } from '../../lib/native/addon.js';
import { getAddon } from '../../lib/native/addon.js';
import type { ServerOptions } from '../../lib/server/options.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { MemoryServer } from '../support/memory-server.js';
import { RawClient } from '../support/raw-client.js';

const CODE = 'WH_ERR_INVALID_OPTION';

function folderWith(t: ExecutionContext, file: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-options-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, 'appsettings.json'), file);
  return folder;
}

/** Options from a file, the environment and the command line. */
function read(
  t: ExecutionContext,
  file: string,
  variables: Record<string, string> = {},
  args: string[] = [],
): ServerOptions {
  const contentRoot = folderWith(t, file);
  return serverOptionsFromConfiguration(loadConfiguration({ contentRoot, variables, args }));
}

/** The member of an object that a name with dots leads to. */
function memberAt(object: unknown, name: string): unknown {
  return name.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], object);
}

/** What a limit may be set to, that is not its default; with all it needs beside. */
function settingsOf(row: LaneLimit): { key: string; value: number; others: [string, number][] } {
  const value = (row.initial === Infinity ? row.least : row.initial) + 1;
  const [group] = row.name.split('.');
  const others = getAddon()
    .limitTable()
    .filter(
      ({ name }) => group.endsWith('DataRate') && name.startsWith(`${group}.`) && name !== row.name,
    )
    .map(({ name, initial }): [string, number] => [name.replace('.', ':'), initial]);
  return { key: row.name.replace('.', ':'), value, others };
}

test('every limit can be set by code, file, environment and command line', (t) => {
  const rows = getAddon().limitTable();
  t.true(rows.length >= 7);
  for (const row of rows) {
    const { key, value, others } = settingsOf(row);
    const nest = (entries: readonly (readonly [string, unknown])[]): unknown => {
      const limits: Record<string, unknown> = {};
      for (const [path, what] of entries) {
        const [group, member] = path.split(':') as [string, string?];
        if (member === undefined) limits[group] = what;
        else limits[group] = { ...(limits[group] as object | undefined), [member]: what };
      }
      return limits;
    };
    const limits = nest([[key, value], ...others]);
    t.notThrows(() => new WindhoverServer({ limits: limits as object }), row.name);
    const all: [string, string][] = [
      [key, String(value)],
      ...others.map(([k, v]) => [k, String(v)] as [string, string]),
    ];
    const variables = Object.fromEntries(
      all.map(([k, v]) => [`WINDHOVER_LIMITS__${k.toUpperCase().replace(':', '__')}`, v]),
    );
    const args = all.map(([k, v]) => `--limits:${k}=${v}`);
    const ways = [
      read(t, JSON.stringify({ Server: { Limits: limits } })),
      read(t, '{}', variables),
      read(t, '{}', {}, args),
    ];
    for (const options of ways) t.is(memberAt(options.limits, row.name), value, row.name);
  }
});

test('what is out of range is refused everywhere, naming option, value, range and source', (t) => {
  for (const row of getAddon().limitTable()) {
    const { key, others } = settingsOf(row);
    const value = row.least - 1;
    const all: [string, number][] = [[key, value], ...others];
    const variable = `WINDHOVER_SERVER__LIMITS__${key.toUpperCase().replace(':', '__')}`;
    const variables = Object.fromEntries(
      all.map(([k, v]) => [
        `WINDHOVER_SERVER__LIMITS__${k.toUpperCase().replace(':', '__')}`,
        String(v),
      ]),
    );
    const error = t.throws(() => read(t, '{}', variables), { code: CODE, instanceOf: RangeError });
    for (const word of [`'limits.${row.name}'`, String(value), String(row.least), variable]) {
      t.true(error.message.includes(word), `${error.message} does not say ${word}`);
    }
  }
});

test('what a file gets wrong is told with its line and value', (t) => {
  const rows = [
    [
      '{\n "Server": {\n "Limits": {\n "KeepAliveTimeout": "5 parsecs" } } }',
      TypeError,
      "'limits.keepAliveTimeout' must be a whole number of ms, 1 to 2147483647, or null for none, not '5 parsecs'",
      "set to '5 parsecs' by appsettings.json:4",
    ],
    [
      '{ "server": { "limits": { "KeepAliveTimeout": "0.0001s" } } }',
      RangeError,
      "'0.0001s'",
      '0.1',
    ],
    ['{ "server": { "limits": { "maxRequestLineSize": null } } }', TypeError, 'not null', ':1'],
    [
      '{ "server": { "limits": { "maxRequestLineSize": "unlimited" } } }',
      TypeError,
      'not null',
      "'unlimited'",
    ],
    ['{ "server": { "limits": { "maxRequestLineSize": {"a": 1} } } }', TypeError, 'an object'],
    ['{ "server": { "limits": 5 } }', TypeError, "'limits' must be an object, not 5"],
    ['{ "server": { "addServerHeader": "maybe" } }', TypeError, "a boolean, not 'maybe'"],
    ['{ "server": { "busyPoll": "-1" } }', RangeError, 'busyPoll', "'-1'"],
    ['{ "server": { "refusals": "loud" } }', TypeError, 'refusals', "'problem'", 'loud'],
    ['{ "server": { "endpoints": 5 } }', TypeError, "'endpoints'", '5'],
    [
      '{ "server": { "endpoints": { "web": { "port": 70000 } } } }',
      RangeError,
      'endpoints.web.port',
    ],
    [
      '{ "server": { "endpoints": { "web": { "host": "h" } } } }',
      TypeError,
      'endpoints.web',
      "'url'",
    ],
    ['{ "server": { "logger": "pino" } }', TypeError, 'logger', 'by code only'],
    ['{ "server": 5 }', TypeError, 'must be an object', 'appsettings.json:1'],
  ] as const;
  for (const [file, type, ...words] of rows) {
    const error = t.throws(() => read(t, file), { code: CODE, instanceOf: type }, file);
    for (const word of words) t.true(error.message.includes(word), `${error.message}: ${word}`);
  }
});

test('a name that is none is an error, with the nearest one', (t) => {
  const rows = [
    ['{ "Server": { "Limits": { "KeepAliveTimout": 1 } } }', {}, [], "'limits.keepAliveTimeout'?"],
    ['{ "Server": { "Limit": { "a": 1 } } }', {}, [], "'limits'?"],
    ['{ "Server": { "AddServerheaders": true } }', {}, [], "'addServerHeader'?"],
    ['{ "Server": { "Endpoints": { "a": { "uri": "x" } } } }', {}, [], "'endpoints.a.url'?"],
    ['{}', { WINDHOVER_LIMITS__KEEPALIVETIMOUT: '1' }, [], "'limits.keepAliveTimeout'?"],
    ['{}', {}, ['--limits:maxRequestLine=1'], 'maxRequestLineSize'],
    ['{}', {}, ['--Server:nonsense=1'], 'There are: endpoints'],
  ] as const;
  for (const [file, variables, args, word] of rows) {
    const error = t.throws(() => read(t, file, variables, [...args]), { code: CODE }, file);
    t.true(error.message.includes('there is no option'), error.message);
    t.true(error.message.includes(word), `${error.message} does not say ${word}`);
  }
});

test('everything can be said, in any case of letters', (t) => {
  const options = read(
    t,
    `{ "SERVER": {
         "addserverheader": false, "BusyPoll": "Adaptive", "refusals": "PROBLEM",
         "limits": { "KEEPALIVETIMEOUT": "00:02:00", "maxrequestbodysize": "10mb" },
         "endpoints": {
           "web": { "URL": "http://127.0.0.1:5000", "protocols": "HTTP1" },
           "socket": { "path": "/run/a.sock", "mode": "0660", "owner": { "uid": 1, "gid": "2" } },
         } } }`,
    {
      WINDHOVER_SERVER__ENDPOINTS__WEB__URL: 'http://127.0.0.1:5001',
      WINDHOVER_ENDPOINTS__TCP__PORT: '80',
      WINDHOVER_LIMITS__MAXREQUESTBODYSIZE: 'unlimited',
    },
    ['--busyPoll=50', '--endpoints:tcp:host', '127.0.0.1'],
  );
  t.deepEqual(options, {
    addServerHeader: false,
    busyPoll: 50,
    refusals: 'problem',
    limits: { keepAliveTimeout: 120_000, maxRequestBodySize: null },
    endpoints: [
      { url: 'http://127.0.0.1:5001', protocols: 'http1' },
      { path: '/run/a.sock', mode: 0o660, owner: { uid: 1, gid: 2 } },
      { port: 80, host: '127.0.0.1' },
    ],
  });
  const list = read(t, '{ "Server": { "Endpoints": ["http://localhost:1", { "port": 2 }] } }');
  t.deepEqual(list, { endpoints: [{ url: 'http://localhost:1' }, { port: 2 }] });
  t.deepEqual(read(t, '{ "Limits": 5, "Other": { "a": 1 } }'), {});
});

test('limits that depend on each other are checked together', (t) => {
  const rows = getAddon().limitTable();
  if (!rows.some(({ name }) => name === 'maxRequestBufferSize')) {
    t.pass();
    return;
  }
  const limits = {
    maxRequestBufferSize: 4096,
    maxRequestLineSize: 1024,
    maxRequestHeadersTotalSize: 2048,
  };
  t.deepEqual(read(t, JSON.stringify({ Server: { Limits: limits } })).limits, limits);
  const small =
    '{ "Server": { "Limits": {\n"MaxRequestHeaderCount": 5,\n"MaxRequestBufferSize": 4096 } } }';
  const error = t.throws(() => read(t, small), { code: CODE, instanceOf: RangeError });
  t.regex(error.message, /set to 4096 by appsettings\.json:3$/);
});

test('a data rate may be said in part, or be turned off', (t) => {
  const grace = 'WINDHOVER_LIMITS__MINREQUESTBODYDATARATE__GRACEPERIOD';
  t.deepEqual(read(t, '{}', { [grace]: '10s' }).limits, {
    minRequestBodyDataRate: { bytesPerSecond: 240, gracePeriod: 10_000 },
  });
  for (const off of ['null', '"unlimited"']) {
    const file = `{ "Server": { "Limits": { "minRequestBodyDataRate": ${off} } } }`;
    t.deepEqual(read(t, file).limits, { minRequestBodyDataRate: null });
  }
  const both = '{ "Server": { "Limits": { "minRequestBodyDataRate": { "bytesPerSecond": 5 } } } }';
  const turnedOff = read(t, both, { WINDHOVER_LIMITS__MINREQUESTBODYDATARATE: 'unlimited' });
  t.deepEqual(turnedOff.limits, { minRequestBodyDataRate: null });
  const error = t.throws(() => read(t, '{}', { [grace]: '1s' }), { code: CODE });
  t.regex(error.message, /minRequestBodyDataRate\.gracePeriod.*'1s' by .*GRACEPERIOD/);
});

test('an object is read as a file is; variables win over it', (t) => {
  const options = serverOptionsFromConfiguration(
    { limits: { keepAliveTimeout: '30s', maxRequestBodySize: 5 }, addServerHeader: false },
    { WINDHOVER_LIMITS__MAXREQUESTBODYSIZE: '6', PATH: '/bin' },
  );
  t.deepEqual(options, {
    addServerHeader: false,
    limits: { keepAliveTimeout: 30_000, maxRequestBodySize: 6 },
  });
  t.deepEqual(serverOptionsFromConfiguration({}), {});
  for (const bad of [null, 5, 'a']) {
    t.throws(() => serverOptionsFromConfiguration(bad as never), {
      code: 'WH_ERR_INVALID_ARGUMENT',
      instanceOf: TypeError,
    });
  }
  t.throws(
    () => serverOptionsFromConfiguration({ limits: { keepAliveTimeout: () => 5 } as never }),
    {
      code: CODE,
    },
  );
});

test('the options serve', async (t) => {
  const running = await serve(
    serverOptionsFromConfiguration({
      endpoints: ['http://127.0.0.1:0'],
      limits: { maxRequestLineSize: '64b' },
    }),
    ({ response }) => response.text('a'),
  );
  try {
    t.is(running.server.metrics().requests, 0); // a WindhoverServer, by its type
    const client = await RawClient.connect(Number(new URL(running.addresses[0]).port));
    const answer = await client.request(`GET /${'a'.repeat(100)} HTTP/1.1\r\nHost: h\r\n\r\n`);
    t.is(answer.status, 414);
    client.destroy();
  } finally {
    await running.stop();
  }
});

test('a builder reads the configuration, and code wins over it', async (t) => {
  const contentRoot = folderWith(
    t,
    `{ "Server": { "Endpoints": { "a": { "url": "http://a.example:1" } },
                   "Limits": { "KeepAliveTimeout": "1m", "MaxRequestLineSize": 100 },
                   "AddServerHeader": false },
       "shutdownTimeout": "7s", "SuppressStatusMessages": true, "Mine": { "Color": "blue" } }`,
  );
  const args = ['--limits:keepAliveTimeout=2m'];
  const builder = WebApplication.createBuilder({ contentRoot, args });
  t.is(builder.configuration.get('mine:color'), 'blue');
  t.is(builder.shutdownTimeout, 7000);
  t.true(builder.suppressStatusMessages);
  t.deepEqual(builder.server.limits, { keepAliveTimeout: 120_000, maxRequestLineSize: 100 });
  builder.server.limits.maxRequestLineSize = 200;
  let given: ServerOptions | undefined;
  const app = builder
    .useServer((options) => {
      given = options;
      return new MemoryServer();
    })
    .build();
  t.is(app.configuration, builder.configuration);
  await app.start();
  t.like(given, {
    endpoints: [{ url: 'http://a.example:1' }],
    limits: { keepAliveTimeout: 120_000, maxRequestLineSize: 200 },
    addServerHeader: false,
    busyPoll: 'adaptive',
  });
  await app.stop();
});

test('URLs of the configuration yield to the command line, and win over the default', async (t) => {
  const rows = [
    ['{ "urls": "http://a:1;http://b:2" }', [], ['http://a:1', 'http://b:2']],
    ['{ "Urls": ["http://a:1", "http://b:2"] }', [], ['http://a:1', 'http://b:2']],
    ['{ "urls": "http://a:1" }', ['--urls', 'http://c:3'], ['http://c:3']],
  ] as const;
  for (const [file, args, expected] of rows) {
    const contentRoot = folderWith(t, file);
    let given: ServerOptions | undefined;
    const app = WebApplication.createBuilder({ contentRoot, args })
      .useServer((options) => {
        given = options;
        return new MemoryServer();
      })
      .build();
    await app.start();
    t.deepEqual(
      given?.endpoints,
      expected.map((url) => ({ url })),
    );
    await app.stop();
  }
});

test('a builder refuses a bad configuration', (t) => {
  const contentRoot = folderWith(t, '{ "Server": { "Limits": { "KeepAliveTimeout": -1 } } }');
  t.throws(() => WebApplication.createBuilder({ contentRoot }), {
    code: CODE,
    instanceOf: RangeError,
    message: /limits\.keepAliveTimeout.*appsettings\.json:1/,
  });
});

test.serial('a variable that is but a slip away from an option is warned of', async (t) => {
  const warned = once(process, 'warning');
  loadConfiguration({ variables: { WINDHOVER_LIMIT__KEEPALIVETIMEOUT: '5' } });
  const [warning] = (await warned) as [Error & { code?: string }];
  t.is(warning.code, 'WH_WARN_UNKNOWN_SETTING');
  t.regex(warning.message, /WINDHOVER_LIMIT__KEEPALIVETIMEOUT.*'limits'/);
});
