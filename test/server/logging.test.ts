/** What a pino-shaped logger is given. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { serve } from '../../lib/hosting/serve.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import type { Logger } from '../../lib/server/log-events.js';
import { LogEvents } from '../../lib/server/log-events.js';
import type { HttpApplication } from '../../lib/server/server.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { root } from '../docs/markdown.js';
import { captureErrors } from '../support/quiet-console.js';
import { deferred, until } from '../support/until.js';
import { startApplication, startServer } from '../support/wire-server.js';

const printed = captureErrors();

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';

interface Line {
  readonly level: string;
  readonly eventId: number;
  readonly event: string;
  readonly message: string;
  readonly [detail: string]: unknown;
}

/** A logger that keeps its lines. */
function makeLogger(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const write =
    (level: string) =>
    (details: object, message: string): void => {
      lines.push({ level, message, ...details } as unknown as Line);
    };
  return {
    lines,
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
}

function eventsOf(logger: { readonly lines: readonly Line[] }): string[] {
  return logger.lines.map(({ level, event }) => `${level} ${event}`);
}

test('ids and names are each there once, and levels are a logger’s', (t) => {
  const events = Object.values(LogEvents);
  t.is(new Set(events.map(({ id }) => id)).size, events.length);
  t.is(new Set(events.map(({ name }) => name)).size, events.length);
  for (const { level } of events) t.true(['debug', 'info', 'warn', 'error'].includes(level));
});

test('docs/observability.md tells every event with its id, name and level', (t) => {
  const told = readFileSync(join(root, 'docs/observability.md'), 'utf8');
  for (const { id, name, level } of Object.values(LogEvents)) {
    t.true(told.includes(`| ${String(id)} | \`${name}\` | ${level} |`), name);
  }
});

test('the life of a server', async (t) => {
  const logger = makeLogger();
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }], logger });
  await server.start(createApplication(({ response }) => response.text('a')));
  const [address] = server.addresses;
  t.deepEqual(eventsOf(logger), ['info Listening', 'info ServerStarted']);
  t.like(logger.lines[0], { eventId: 1001, address, message: 'Now listening' });
  t.like(logger.lines[1], { eventId: 1002, addresses: [address] });
  await server.stop();
  t.deepEqual(eventsOf(logger).slice(2), ['info ServerStopping', 'info ServerStopped']);
});

test('a stop that had to abort says what was left', async (t) => {
  const logger = makeLogger();
  const gate = deferred();
  const { connect, metrics, server } = await startServer(t, () => gate.promise, { logger });
  const client = await connect();
  void client.write(GET);
  await until(() => metrics().requests === 1, 'the request runs');
  await server.stop(AbortSignal.abort());
  gate.resolve();
  const forced = logger.lines.find(({ eventId }) => eventId === 16);
  t.like(forced, { level: 'warn', connections: 1, requests: 1 });
});

test('refused requests, and heads that do not come', async (t) => {
  const logger = makeLogger();
  const { once } = await startServer(t, ({ response }) => response.text('a'), {
    logger,
    limits: { requestHeadersTimeout: 1000 },
  });
  t.is((await once('GET /\r\n\r\n')).status, 400);
  t.is((await once('GET / HTTP/1.1\r\nHost')).status, 408);
  await until(() => logger.lines.length === 4, 'both are logged');
  t.like(logger.lines[2], {
    level: 'debug',
    eventId: 17,
    event: 'RequestRefused',
    reason: 'invalidRequestLine',
    statusCode: 400,
    remoteAddress: '127.0.0.1',
    input: 'GET /',
  });
  t.like(logger.lines[3], { level: 'debug', eventId: 1006, statusCode: 408 });
});

test('failures of handlers go to the logger where there is no onError', async (t) => {
  const expected = {
    level: 'error',
    eventId: 13,
    event: 'ApplicationError',
    method: 'GET',
    target: '/a',
  };
  const failing = (): never => {
    throw new Error('mine');
  };
  const check = async (url: string, logger: ReturnType<typeof makeLogger>): Promise<void> => {
    t.is((await fetch(`${url}/a`)).status, 500);
    const line = logger.lines.find(({ level }) => level === 'error');
    t.like(line, expected);
    t.is((line?.['err'] as Error).message, 'mine');
  };
  const first = makeLogger();
  const running = await serve({ urls: 'http://127.0.0.1:0', logger: first }, failing);
  await check(running.addresses[0], first);
  await running.stop();

  const second = makeLogger();
  const builder = WebApplication.createBuilder();
  builder.logger = second;
  builder.urls.add('http://127.0.0.1:0');
  t.is(builder.server.logger, second);
  const app = builder.build();
  app.get('/a', failing);
  await app.start();
  await check(app.addresses[0], second);
  await app.stop();

  const third = makeLogger();
  const told: unknown[] = [];
  const heard = await serve(
    { urls: 'http://127.0.0.1:0', logger: third, onError: (error) => told.push(error) },
    failing,
  );
  await fetch(heard.addresses[0]);
  await heard.stop();
  t.is(told.length, 1);
  t.false(eventsOf(third).includes('error ApplicationError'));
});

test('an application of one’s own that has no handleError has its failures logged', async (t) => {
  const logger = makeLogger();
  const application: HttpApplication<object> = {
    createContext: () => ({}),
    processRequest: () => {
      throw new Error('mine');
    },
    disposeContext: () => {
      throw new Error('of the end');
    },
  };
  const { once } = await startApplication(t, application, { logger });
  t.is((await once(GET)).status, 500);
  t.deepEqual(eventsOf(logger).slice(2), ['error ApplicationError', 'error CallbackFailed']);
});

/** Answers that are too short. */
const SHORT = {
  written: async ({ response }: Parameters<Parameters<typeof createApplication>[0]>[0]) => {
    response.headers.set('Content-Length', '10');
    await response.write('abc');
  },
  'not written': ({ response }: Parameters<Parameters<typeof createApplication>[0]>[0]) => {
    response.headers.set('Content-Length', '10');
  },
};

for (const [name, handler] of Object.entries(SHORT)) {
  test(`too few bytes for the Content-Length (${name}) reach onError as other failures do`, async (t) => {
    const before = printed.length;
    const { connect, reported } = await startServer(t, handler);
    const client = await connect();
    if (name === 'written') await t.throwsAsync(client.request(GET));
    else t.is((await client.request(GET)).status, 500);
    await until(() => reported.length === 1, 'it is reported');
    t.regex(String((reported[0] as { code?: unknown }).code), /^WH_ERR_/);
    const ours = printed.slice(before).filter(([text]) => String(text).includes('callback'));
    t.deepEqual(ours, []);
  });
}

test('callbacks that fail are logged, and printed only where there is no logger', async (t) => {
  const logger = makeLogger();
  const { once } = await startServer(
    t,
    ({ response }) => {
      response.onCompleted(() => {
        throw new Error('mine');
      });
      return response.text('a');
    },
    { logger },
  );
  t.is((await once(GET)).text, 'a');
  await until(() => logger.lines.length === 3, 'it is logged');
  t.like(logger.lines[2], { level: 'error', eventId: 1005, event: 'CallbackFailed' });
});

test('a logger that fails costs nothing', async (t) => {
  const failing = (): never => {
    throw new Error('mine');
  };
  const logger = { debug: failing, info: failing, warn: failing, error: failing };
  const { once, server } = await startServer(t, failing, { logger });
  t.is((await once(GET)).status, 500);
  t.is((await once('GET /\r\n\r\n')).status, 400);
  await server.stop();
});

test('what is no logger is refused', (t: ExecutionContext) => {
  for (const logger of [null, 5, 'a', {}, { debug: 5 }, console.log]) {
    t.throws(() => new WindhoverServer({ logger: logger as never }), {
      code: 'WH_ERR_INVALID_OPTION',
      instanceOf: TypeError,
      message: /logger/,
    });
    t.throws(() => createApplication(() => undefined, { logger: logger as never }), {
      code: 'WH_ERR_INVALID_ARGUMENT',
      instanceOf: TypeError,
    });
  }
  t.notThrows(() => new WindhoverServer({ logger: console }));
});
