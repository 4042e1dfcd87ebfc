/** What probes are answered; by bytes on a wire. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { HealthEndpointOptions } from '../../lib/middleware/health-endpoint.js';
import { healthEndpoint } from '../../lib/middleware/health-endpoint.js';
import type { HealthStatus } from '../../lib/middleware/health-checks.js';
import { HealthChecks } from '../../lib/middleware/health-checks.js';
import type { RawAnswer } from '../support/raw-client.js';
import { deferred } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n';

async function probe(
  t: ExecutionContext,
  checks: HealthChecks,
  options: HealthEndpointOptions = {},
): Promise<RawAnswer> {
  return (await startServer(t, healthEndpoint(checks, options))).once(GET);
}

for (const [status, code, word] of [
  ['healthy', 200, 'Healthy'],
  ['degraded', 200, 'Degraded'],
  ['unhealthy', 503, 'Unhealthy'],
] as const) {
  test(`${status} answers ${String(code)} ${word}, and is not cached`, async (t) => {
    const checks = new HealthChecks().add('fine', () => 'healthy').add('one', () => status);
    const { status: actual, text, headers } = await probe(t, checks);
    t.is(actual, code);
    t.is(text, word);
    t.deepEqual(headers.get('content-type'), ['text/plain']);
    t.deepEqual(headers.get('cache-control'), ['no-store, no-cache']);
    t.deepEqual(headers.get('pragma'), ['no-cache']);
    t.deepEqual(headers.get('expires'), ['Thu, 01 Jan 1970 00:00:00 GMT']);
  });
}

test('without a check everything is healthy', async (t) => {
  t.is((await probe(t, new HealthChecks())).text, 'Healthy');
});

test('the worst counts; other statuses; an answer that may be cached', async (t) => {
  const checks = new HealthChecks()
    .add('a', () => undefined)
    .add('b', () => Promise.resolve({ status: 'degraded', description: 'slow' }))
    .add('c', () => true);
  const { status, text, headers } = await probe(t, checks, {
    resultStatusCodes: { degraded: 429 },
    allowCachingResponses: true,
  });
  t.is(status, 429);
  t.is(text, 'Degraded');
  t.false(headers.has('cache-control'));
});

test('a check that fails has its failure status; JSON tells of all but the error', async (t) => {
  const checks = new HealthChecks()
    .add('db', () => Promise.reject(new Error('password=secret')), { tags: ['ready'] })
    .add('cache', () => false, { failureStatus: 'degraded' })
    .add(
      'disk',
      ({ name, tags }) => ({
        status: 'healthy',
        description: 'room',
        data: { name, tags, free: 1 },
      }),
      { tags: ['x'] },
    )
    .add('odd', () => ({ status: 'fine' }) as never, { failureStatus: 'degraded' });
  const { status, text, headers } = await probe(t, checks, { responseWriter: 'json' });
  t.is(status, 503);
  t.deepEqual(headers.get('content-type'), ['application/json; charset=utf-8']);
  t.false(text.includes('secret'));
  const report = JSON.parse(text) as {
    status: HealthStatus;
    totalDuration: number;
    entries: Record<string, { status: HealthStatus; duration: number }>;
  };
  t.is(report.status, 'unhealthy');
  t.true(report.totalDuration >= 0);
  t.deepEqual(Object.keys(report.entries), ['db', 'cache', 'disk', 'odd']);
  t.like(report.entries, {
    db: { status: 'unhealthy', tags: ['ready'] },
    cache: { status: 'degraded', tags: [] },
    disk: { status: 'healthy', description: 'room', data: { name: 'disk', tags: ['x'], free: 1 } },
    odd: { status: 'degraded' },
  });
  t.true(report.entries['db'].duration >= 0);
});

test('the report has the errors', async (t) => {
  const error = new Error('away');
  const checks = new HealthChecks().add('db', () => {
    throw error;
  });
  t.is((await checks.check()).entries.get('db')?.error, error);
});

test('tags and predicates choose', async (t) => {
  const ran: string[] = [];
  const checks = new HealthChecks();
  for (const [name, ...tags] of [['a', 'live'], ['b', 'ready'], ['c', 'ready', 'live'], ['d']]) {
    checks.add(name, () => void ran.push(name), { tags });
  }
  await probe(t, checks, { tags: ['ready'] });
  await probe(t, checks, { tags: [] });
  await probe(t, checks, { predicate: ({ name }) => name === 'd' });
  await probe(t, checks, { tags: ['live'], predicate: ({ tags }) => tags.length === 1 });
  t.deepEqual(ran, ['b', 'c', 'd', 'a']);
});

test('a check that takes too long has failed, and is told', async (t) => {
  const told = deferred();
  const checks = new HealthChecks().add(
    'slow',
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          told.resolve();
          reject(new Error('nobody hears this'));
        });
      }),
    { timeout: 20, failureStatus: 'degraded' },
  );
  const { text } = await probe(t, checks, { responseWriter: 'json' });
  await told.promise;
  t.like((JSON.parse(text) as { entries: object }).entries, {
    slow: { status: 'degraded', description: 'The check has taken longer than 20 ms' },
  });
});

test('checks run side by side', async (t) => {
  const meet = deferred();
  const checks = new HealthChecks()
    .add('first', () => meet.promise)
    .add('second', () => {
      meet.resolve();
    });
  t.is((await probe(t, checks)).text, 'Healthy');
});

test('a probe that goes away gives its checks up', async (t) => {
  const begun = deferred();
  const given = deferred();
  const checks = new HealthChecks().add(
    'endless',
    ({ signal }) => {
      begun.resolve();
      return new Promise(() => {
        signal.addEventListener('abort', () => {
          given.resolve();
        });
      });
    },
    { timeout: null },
  );
  const { connect, reported } = await startServer(t, healthEndpoint(checks));
  const client = await connect();
  void client.write(GET);
  await begun.promise;
  await client.reset();
  await given.promise;
  t.deepEqual(reported, []);
});

test('a writer of one’s own, and one port only', async (t) => {
  const checks = new HealthChecks().add('a', () => 'degraded');
  const { status, text } = await probe(t, checks, {
    responseWriter: ({ response }, { status: found, entries }) =>
      response.text(`${found} ${String(entries.size)}`),
  });
  t.is(status, 200);
  t.is(text, 'degraded 1');
  t.is((await probe(t, checks, { port: 1 })).status, 404);
});

const checks = new HealthChecks();
const check = (): undefined => undefined;
for (const [make, message] of [
  [() => checks.add('', check), /name of a health check must be a text/],
  [() => checks.add('a', 1 as never), /option 'healthChecks\.a' must be a function, not 1/],
  [
    () => checks.add('a', check, { tags: 'x' as never }),
    /healthChecks\.a\.tags' must be an array of strings/,
  ],
  [
    () => checks.add('a', check, { failureStatus: 'bad' as never }),
    /healthChecks\.a\.failureStatus' must be one of 'healthy', .*, not 'bad'/,
  ],
  [() => checks.add('a', check, { timeout: 0 }), /healthChecks\.a\.timeout' .*, not 0/],
  [() => checks.add('a', check, { time: 0 } as never), /no option 'healthChecks\.a\.time'/],
  [() => checks.add('twice', check).add('twice', check), /a health check 'twice' already/],
  [() => healthEndpoint(undefined as never), /^checks must be HealthChecks, not undefined/],
  [() => healthEndpoint(checks, { port: 0 }), /mapHealthChecks\.port' .*, not 0/],
  [
    () => healthEndpoint(checks, { responseWriter: 'xml' as never }),
    /responseWriter' must be 'text', 'json' or a function, not 'xml'/,
  ],
  [
    () => healthEndpoint(checks, { resultStatusCodes: { unhealthy: 99 } }),
    /resultStatusCodes\.unhealthy' .*, not 99/,
  ],
  [
    () => healthEndpoint(checks, { resultStatusCodes: { bad: 200 } as never }),
    /no option 'mapHealthChecks\.resultStatusCodes\.bad'/,
  ],
  [
    () => healthEndpoint(checks, { predicate: 1 as never }),
    /mapHealthChecks\.predicate' must be a function/,
  ],
] as const) {
  test(`a mistake: ${String(make).slice(6)}`, (t) => {
    const { code } = t.throws(make, { message }) as { code?: unknown };
    t.regex(String(code), /^WH_ERR_INVALID_(?:OPTION|ARGUMENT)$/);
  });
}
