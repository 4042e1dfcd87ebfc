import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { HttpResponseBodyFeature } from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { createApplication } from '../../lib/server/server.js';
import { RawClient } from '../support/raw-client.js';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'wh-send-file-'));
test.after.always(() => {
  rmSync(FOLDER, { recursive: true, force: true });
});

const SMALL = join(FOLDER, 'small.txt');
const EMPTY = join(FOLDER, 'empty.txt');
const LARGE = join(FOLDER, 'large.bin');
const LARGE_BYTES = Buffer.alloc(20_000_000);
for (let i = 0; i < LARGE_BYTES.length; i += 4) LARGE_BYTES.writeUInt32LE(i, i);
writeFileSync(SMALL, '0123456789');
writeFileSync(EMPTY, '');
writeFileSync(LARGE, LARGE_BYTES);

/** How many descriptors of this process are of that file. */
function openDescriptors(path: string): number {
  let count = 0;
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`).startsWith(path)) count++;
    } catch {
      // It has been closed meanwhile.
    }
  }
  return count;
}

function copyOf(name: string, bytes: Uint8Array | string): string {
  const path = join(FOLDER, name);
  writeFileSync(path, bytes);
  return path;
}

const get = (path: string, fields = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`;

type Coded = Error & { readonly code?: unknown };

/** The error that a handler's sendFile rejects with. */
async function failureOf(promise: Promise<unknown>): Promise<Coded> {
  try {
    await promise;
  } catch (error) {
    return error as Coded;
  }
  throw new Error('it did not fail');
}

test.serial('a file is the body, and its length the Content-Length', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/url') return response.sendFile(pathToFileURL(SMALL));
    if (request.path === '/part') return response.sendFile(SMALL, 3, 4);
    if (request.path === '/rest') return response.sendFile(SMALL, 8);
    if (request.path === '/none') return response.sendFile(SMALL, 10);
    if (request.path === '/empty') return response.sendFile(EMPTY);
    response.contentType = 'text/plain';
    await response.sendFile(SMALL);
  });
  const client = await connect();
  for (const [path, text] of [
    ['/', '0123456789'],
    ['/url', '0123456789'],
    ['/part', '3456'],
    ['/rest', '89'],
    ['/none', ''],
    ['/empty', ''],
  ] as const) {
    const answer = await client.request(get(path));
    t.is(answer.text, text, path);
    t.is(answer.framing, 'length');
    t.deepEqual(answer.headers.get('content-type'), path === '/' ? ['text/plain'] : undefined);
  }
  await until(() => openDescriptors(SMALL) === 0, 'all are closed');
});

test.serial('a large file arrives whole, as often as it is asked for', async (t) => {
  const { connect, metrics } = await startServer(t, ({ response }) => response.sendFile(LARGE));
  const client = await connect();
  for (let i = 0; i < 3; i++) t.true((await client.request(get('/'))).body.equals(LARGE_BYTES));
  t.true(metrics().bytesSent > 3 * LARGE_BYTES.length);
  t.is(metrics().answers, 3);
});

test.serial('offsets and counts beyond four gigabytes are understood', async (t) => {
  const path = copyOf('sparse', '');
  truncateSync(path, 2 ** 33);
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, 'far away', 2 ** 32 + 5);
  closeSync(descriptor);
  const { connect } = await startServer(t, ({ request, response }) =>
    request.path === '/part' ? response.sendFile(path, 2 ** 32 + 5, 8) : response.sendFile(path, 1),
  );
  const client = await connect();
  t.is((await client.request(get('/part'))).text, 'far away');
  const head = await client.request('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n', 'HEAD');
  t.deepEqual(head.headers.get('content-length'), [String(2 ** 33 - 1)]);
  rmSync(path);
});

test.serial('what is written before and after a file surrounds it', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/length') response.contentLength = 15;
    else await response.write('');
    if (request.path === '/wait') {
      await response.write('[');
      await response.sendFile(SMALL);
      await response.write('|');
      await response.sendFile(SMALL, 7, 2);
      await response.write(']');
    } else {
      // Nobody waits: the order stays.
      void response.write('[');
      void response.sendFile(SMALL);
      void response.write('|');
      void response.sendFile(SMALL, 7, 2);
      void response.write(']');
    }
  });
  const client = await connect();
  for (const [path, framing] of [
    ['/wait', 'chunked'],
    ['/', 'chunked'],
    ['/length', 'length'],
  ] as const) {
    const answer = await client.request(get(path));
    t.is(answer.text, '[0123456789|78]', path);
    t.is(answer.framing, framing);
  }
});

test.serial('a handler that does not wait for its file sends it all the same', async (t) => {
  const { connect, metrics } = await startServer(t, ({ request, response }) => {
    void response.sendFile(request.path === '/large' ? LARGE : SMALL);
    if (request.path === '/ended') void response.end();
  });
  const client = await connect();
  t.is((await client.request(get('/'))).text, '0123456789');
  t.is((await client.request(get('/ended'))).text, '0123456789');
  t.true((await client.request(get('/large'))).body.equals(LARGE_BYTES));
  await until(() => metrics().activeRequests === 0, 'all requests are over');
});

test.serial('the end is ordered behind the file, and nothing after it', async (t) => {
  const errors: unknown[] = [];
  const { connect } = await startServer(t, async ({ response }) => {
    const sending = response.sendFile(SMALL);
    const ending = response.end();
    await sending;
    await ending;
    for (const late of [() => response.sendFile(SMALL), () => response.write('x')]) {
      try {
        await late();
      } catch (error) {
        errors.push((error as Coded).code);
      }
    }
  });
  const client = await connect();
  t.is((await client.request(get('/'))).text, '0123456789');
  t.deepEqual(errors, ['WH_ERR_RESPONSE_ENDED', 'WH_ERR_RESPONSE_ENDED']);
});

test.serial('HEAD tells the length and sends nothing; 204 and 304 have no body', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const status = Number(request.path.slice(1));
    if (status > 0) response.statusCode = status;
    await response.sendFile(LARGE);
  });
  const client = await connect();
  const head = await client.request('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n', 'HEAD');
  t.deepEqual(head.headers.get('content-length'), [String(LARGE_BYTES.length)]);
  for (const status of [204, 304]) {
    const answer = await client.request(get(`/${String(status)}`));
    t.is(answer.status, status);
    t.is(answer.headers.get('content-length'), undefined);
  }
  t.deepEqual((await client.request(get('/205'))).headers.get('content-length'), ['0']);
  t.is((await client.request(get('/206'))).body.length, LARGE_BYTES.length);
  await until(() => openDescriptors(LARGE) === 0, 'all are closed');
});

test.serial('HTTP/1.0 gets a file by its length, or to the end of the connection', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/more') await response.write('>');
    await response.sendFile(SMALL);
  });
  const client = await connect();
  const kept = await client.request('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  t.is(kept.framing, 'length');
  t.is(kept.text, '0123456789');
  const last = await client.request('GET /more HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  t.is(last.framing, 'close');
  t.is(last.text, '>0123456789');
});

test.serial('pipelined files are answered in order', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const n = Number(request.path.slice(1));
    await delay((n * 7) % 5);
    if (n % 3 === 0) await response.text(String(n));
    else await response.sendFile(n % 3 === 1 ? SMALL : LARGE, n % 10, n % 3 === 1 ? 1 : 300_000);
  });
  const client = await connect();
  let requests = '';
  for (let n = 0; n < 40; n++) requests += get(`/${String(n)}`);
  void client.write(requests);
  for (let n = 0; n < 40; n++) {
    const { body } = await client.answer();
    const from = n % 10;
    if (n % 3 === 0) t.is(body.toString(), String(n));
    else if (n % 3 === 1) t.is(body.toString(), String(from));
    else t.true(body.equals(LARGE_BYTES.subarray(from, from + 300_000)), String(n));
  }
  await until(() => openDescriptors(LARGE) === 0, 'all are closed');
});

test.serial('what cannot be opened is told before anything is sent', async (t) => {
  const fifo = join(FOLDER, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const { connect } = await startServer(t, async ({ request, response }) => {
    const sending = {
      '/missing': () => response.sendFile(join(FOLDER, 'missing')),
      '/folder': () => response.sendFile(FOLDER),
      '/fifo': () => response.sendFile(fifo),
      '/nul': () => response.sendFile('a\0b'),
      '/scheme': () => response.sendFile(new URL('http://h/')),
      '/below': () => response.sendFile(`${SMALL}/x`),
    }[request.path] as () => Promise<void>;
    const error = await failureOf(sending());
    response.statusCode = 404;
    await response.text(`${String(error.code)} ${String(response.hasStarted)}`);
  });
  const client = await connect();
  for (const [path, code] of [
    ['/missing', 'ENOENT'],
    ['/folder', 'EISDIR'],
    ['/fifo', 'WH_ERR_NOT_A_FILE'],
    ['/nul', 'ERR_INVALID_ARG_VALUE'],
    ['/scheme', 'ERR_INVALID_URL_SCHEME'],
    ['/below', 'ENOTDIR'],
  ] as const) {
    const answer = await within(client.request(get(path)), `the answer to ${path}`);
    t.is(answer.status, 404);
    t.is(answer.text, `${code} false`, path);
  }
  t.is(openDescriptors(FOLDER), 0);
});

test.serial('a file that is missing answers 500 where nobody catches it', async (t) => {
  const { connect, reported } = await startServer(t, ({ request, response }) => {
    const sending = response.sendFile(join(FOLDER, 'missing'));
    return request.path === '/wait' ? sending : undefined;
  });
  const client = await connect();
  t.is((await client.request(get('/wait'))).status, 500);
  t.is((reported[0] as Coded).code, 'ENOENT');
  t.is((await client.request(get('/'))).status, 500);
});

test.serial('a handler that fails while its file is opened answers 500', async (t) => {
  const { connect } = await startServer(t, ({ response }) => {
    void response.sendFile(LARGE);
    throw new Error('too late');
  });
  const client = await connect();
  const answer = await client.request(get('/'));
  t.is(answer.status, 500);
  t.is((await client.request(get('/'))).status, 500);
  await until(() => openDescriptors(LARGE) === 0, 'all are closed');
});

test.serial('arguments out of range are refused, by name', async (t) => {
  const errors: Coded[] = [];
  const { connect } = await startServer(t, async ({ response }) => {
    const bad: [unknown, unknown?, unknown?][] = [
      [SMALL, -1],
      [SMALL, 1.5],
      [SMALL, NaN],
      [SMALL, 2 ** 53],
      [SMALL, 0, -1],
      [SMALL, 11],
      [SMALL, 0, 11],
      [SMALL, 6, 5],
      [5],
      [undefined],
      [SMALL, '1'],
      [SMALL, 0, null],
    ];
    for (const given of bad) {
      try {
        await response.sendFile(...(given as [string, number?, number?]));
      } catch (error) {
        errors.push(error as Coded);
      }
    }
    await response.text('fine');
  });
  t.is((await (await connect()).request(get('/'))).text, 'fine');
  t.true(errors.every(({ code }) => code === 'WH_ERR_INVALID_ARGUMENT'));
  t.deepEqual(
    errors.map((error) => `${error.name} ${error.message.split(' ')[0]}`),
    [
      'RangeError offset',
      'RangeError offset',
      'RangeError offset',
      'RangeError offset',
      'RangeError count',
      'RangeError offset',
      'RangeError count',
      'RangeError count',
      'TypeError path',
      'TypeError path',
      'TypeError offset',
      'TypeError count',
    ],
  );
  t.is(openDescriptors(SMALL), 0);
});

test.serial('more than the Content-Length leaves is refused', async (t) => {
  let failure: Coded | undefined;
  const { connect } = await startServer(t, async ({ response }) => {
    response.contentLength = 9;
    failure = await failureOf(response.sendFile(SMALL));
    await response.sendFile(SMALL, 1);
  });
  t.is((await (await connect()).request(get('/'))).text, '123456789');
  t.is(failure?.code, 'WH_ERR_CONTENT_LENGTH_EXCEEDED');
});

test.serial('a file that becomes shorter cuts the answer, and says so', async (t) => {
  const path = copyOf('shrinking', LARGE_BYTES);
  const failed = deferred<Coded>();
  const { connect, metrics } = await startServer(t, async ({ request, response }) => {
    if (request.path !== '/') return response.text('still here');
    const failure = await failureOf(response.sendFile(path));
    failed.resolve(failure);
    throw failure;
  });
  const client = await connect();
  client.pause();
  void client.write(get('/'));
  await until(() => metrics().bytesSent > 0, 'the file is being sent');
  truncateSync(path, 1000);
  client.resume();
  t.is((await within(failed.promise, 'the failure')).code, 'WH_ERR_FILE_TRUNCATED');
  await t.throwsAsync(client.answer(), { message: /cut an answer short/ });
  t.true(client.received < LARGE_BYTES.length);
  await until(() => metrics().activeRequests === 0, 'the request is over');
  t.is(metrics().answers, 0);
  t.is(openDescriptors(path), 0);
  t.is((await (await connect()).request(get('/other'))).text, 'still here');
});

test.serial('a client that pauses stops the file, and no memory is taken', async (t) => {
  let isSent = false;
  const { connect, metrics } = await startServer(t, async ({ response }) => {
    await response.sendFile(LARGE);
    isSent = true;
  });
  const client = await connect();
  client.pause();
  void client.write(get('/'));
  let last = -1;
  await until(async () => {
    const { bytesSent } = metrics();
    const still = bytesSent === last;
    last = bytesSent;
    await delay(30);
    return still && bytesSent > 0;
  }, 'the file waits');
  t.true(last < 12_000_000, String(last));
  t.false(isSent);
  client.resume();
  t.true((await client.answer()).body.equals(LARGE_BYTES));
  await until(() => isSent, 'the promise settles');
});

for (const [name, leave] of [
  ['by a reset', (client: RawClient) => client.reset()],
  [
    'by closing',
    (client: RawClient) => {
      client.destroy();
    },
  ],
] as const) {
  test.serial(
    `a client that goes away ${name} lets the files go, and the handlers end`,
    async (t) => {
      const path = copyOf(`gone ${name}`, LARGE_BYTES);
      let settled = 0;
      let aborted = 0;
      const { connect, metrics } = await startServer(t, async (context: HttpContext) => {
        await context.response.sendFile(path);
        settled++;
        if (context.request.aborted.aborted) aborted++;
      });
      const client = await connect();
      client.pause();
      void client.write(get('/') + get('/') + get('/'));
      await until(() => openDescriptors(path) === 3, 'the files are open');
      await leave(client);
      await until(() => settled === 3, 'the handlers end');
      t.is(aborted, 3);
      await until(() => metrics().activeRequests === 0, 'the requests are over');
      await until(() => openDescriptors(path) === 0, 'all are closed');
    },
  );
}

test.serial('an exchange that is aborted lets its file go', async (t) => {
  const path = copyOf('aborted', LARGE_BYTES);
  const settled = deferred();
  const { connect } = await startServer(t, async (context) => {
    const sending = context.response.sendFile(path);
    await until(() => openDescriptors(path) > 0, 'the file is open');
    await delay(5);
    context.abort();
    await sending;
    settled.resolve();
  });
  const client = await connect();
  client.pause();
  void client.write(get('/'));
  await within(settled.promise, 'the promise');
  client.resume();
  await t.throwsAsync(client.answer(), { message: /cut an answer short/ });
  await until(() => openDescriptors(path) === 0, 'all are closed');
});

test.serial('a stop waits for a file, and one that is cut short lets it go', async (t) => {
  for (const cut of [false, true]) {
    const path = copyOf(`stopped ${String(cut)}`, LARGE_BYTES);
    const { connect, server, metrics } = await startServer(t, ({ response }) =>
      response.sendFile(path),
    );
    const client = await connect();
    client.pause();
    void client.write(get('/'));
    await until(() => metrics().bytesSent > 100_000, 'the file is being sent');
    const stopping = server.stop(cut ? AbortSignal.abort() : undefined);
    client.resume();
    if (cut) await t.throwsAsync(client.answer(), { message: /cut an answer short/ });
    else t.true((await client.answer()).body.equals(LARGE_BYTES));
    await within(stopping, 'the stop');
    await until(() => openDescriptors(path) === 0, 'all are closed');
  }
});

test.serial('a Unix socket takes files as well', async (t) => {
  const socket = join(FOLDER, 'app.sock');
  const server = new WindhoverServer({ endpoints: [{ path: socket }] });
  await server.start(createApplication(({ response }) => response.sendFile(LARGE, 5)));
  const client = await RawClient.connect({ path: socket });
  t.true((await client.request(get('/'))).body.equals(LARGE_BYTES.subarray(5)));
  client.destroy();
  await server.stop(AbortSignal.abort());
});

test.serial('what runs before the start can change the head, and fail', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    response.onStarting(async () => {
      await delay(1);
      if (request.path === '/fails') throw new Error('no');
      response.headers.set('X-Length', response.contentLength ?? -1);
    });
    await response.sendFile(SMALL);
  });
  const client = await connect();
  const answer = await client.request(get('/'));
  t.is(answer.text, '0123456789');
  t.deepEqual(answer.headers.get('x-length'), ['10']);
  t.is((await client.request(get('/fails'))).status, 500);
  await until(() => openDescriptors(SMALL) === 0, 'all are closed');
});

test.serial('the feature itself checks its arguments and its end', async (t) => {
  const { connect } = await startServer(t, async ({ features, response }) => {
    const feature = features.get(HttpResponseBodyFeature);
    const error = t.throws<Coded>(() => feature?.sendFile?.(SMALL, -1));
    t.is(error.code, 'WH_ERR_INVALID_ARGUMENT');
    await feature?.sendFile?.(SMALL, 1, 2);
    await response.end();
    t.is(t.throws<Coded>(() => feature?.sendFile?.(SMALL)).code, 'WH_ERR_RESPONSE_ENDED');
  });
  t.is((await (await connect()).request(get('/'))).text, '12');
});

test.serial('clients of small answers have their turns while files are sent', async (t) => {
  const { connect } = await startServer(t, ({ request, response }) =>
    request.path === '/file' ? response.sendFile(LARGE) : response.text('quick'),
  );
  const greedy = await Promise.all([connect(), connect(), connect()]);
  for (const client of greedy) for (let i = 0; i < 2; i++) void client.write(get('/file'));
  const client = await connect();
  for (let i = 0; i < 20; i++) t.is((await client.request(get('/'))).text, 'quick');
  t.true(greedy.some(({ received }) => received < 2 * LARGE_BYTES.length));
  for (const each of greedy) {
    for (let i = 0; i < 2; i++) t.is((await each.answer()).body.length, LARGE_BYTES.length);
  }
});
