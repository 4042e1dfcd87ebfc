/**
 * Header sections that come again are not parsed again, nor their values made again: what a request has
 * must all the same be what its own bytes say, whatever came before it.
 */
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { startServer } from '../support/wire-server.js';

/** The names that the handler asks for, one of them in no section. */
const NAMES = ['User-Agent', 'x-a', 'X-Token', 'Cookie', 'Accept', 'X-Nowhere'];

/** More sections than the server keeps; many begin alike, differ in one byte, or are part of another. */
const sections: readonly (readonly string[])[] = [
  [],
  ...Array.from({ length: 24 }, (_, i) => [
    'User-Agent: someone',
    `X-A: ${String(i)}`,
    ...Array.from({ length: i % 5 }, (_unused, k) => `Cookie: c${String(k)}=${String(i * k)}`),
    ...(i % 3 === 0 ? [`X-Token: ${'t'.repeat(i)}`] : []),
    ...(i % 7 === 0 ? ['Accept: text/html', 'accept: */*'] : []),
  ]),
  ['User-Agent: someone', 'X-A: 1', 'X-B: 1'],
  ['User-Agent: someone', 'X-A: 1 '],
  ['user-agent:  someone', 'x-a:\t1'],
  [`X-Token: ${'long'.repeat(300)}`],
  ['User-Agent: Jürgen'],
];

function bytesOf(section: readonly string[], target: string): Buffer {
  return Buffer.from(
    `GET ${target} HTTP/1.1\r\nHost: h\r\n${section.map((line) => `${line}\r\n`).join('')}\r\n`,
  );
}

/** What the handler must say of a section, by the letter of RFC 9110 section 5. */
function expected(section: readonly string[], target: string): unknown {
  const lines = section.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  const values = NAMES.map((name) => {
    const found = lines.filter(([other]) => other.toLowerCase() === name.toLowerCase());
    const separator = name === 'Cookie' ? '; ' : ', ';
    return found.length === 0 ? null : found.map(([, value]) => value).join(separator);
  });
  return { target, values, lines: [['Host', 'h'], ...lines] };
}

function tell({ request, response }: HttpContext): void {
  const { headers } = request;
  void response.json({
    target: request.rawTarget,
    values: NAMES.map((name) => headers.get(name) ?? null),
    lines: [...headers],
  });
}

/** Numbers that look like chance and are the same in each run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

test('every request has the headers that it came with, in whatever order sections come again', async (t) => {
  const server = await startServer(t, tell);
  const chance = numbers(7);
  await Promise.all(
    Array.from({ length: 8 }, async (_, connection) => {
      const client = await server.connect();
      for (let i = 0; i < 250; i++) {
        // Most often the one before, as clients do.
        const pick = chance.next().value % 3 === 0 ? chance.next().value : connection;
        const section = sections[pick % sections.length];
        const target = `/${String(connection)}/${String(i)}${'x'.repeat(chance.next().value % 9)}`;
        const answer = await client.request(bytesOf(section, target));
        t.deepEqual(JSON.parse(answer.text), expected(section, target));
      }
    }),
  );
});

test('pipelined requests keep their own headers', async (t) => {
  const server = await startServer(t, tell);
  const chance = numbers(11);
  const client = await server.connect();
  for (let round = 0; round < 10; round++) {
    const batch = Array.from({ length: 40 }, (_, i) => {
      const section = sections[chance.next().value % (round < 5 ? 3 : sections.length)];
      return { section, target: `/${String(round)}/${String(i)}` };
    });
    void client.write(Buffer.concat(batch.map((one) => bytesOf(one.section, one.target))));
    for (const { section, target } of batch) {
      const answer = await client.answer();
      t.deepEqual(JSON.parse(answer.text), expected(section, target));
    }
  }
});

test('a known section is recognised wherever the request is cut', async (t) => {
  const server = await startServer(t, tell);
  const section = ['User-Agent: someone', 'Cookie: a=1', 'Cookie: b=2'];
  const bytes = bytesOf(section, '/cut');
  const client = await server.connect();
  for (let cut = 1; cut < bytes.length; cut++) {
    await client.request(bytes);
    await client.write(bytes.subarray(0, cut));
    const answer = await client.request(bytes.subarray(cut));
    t.deepEqual(JSON.parse(answer.text), expected(section, '/cut'));
  }
});

test('what bears on a section is looked at anew: version, method and the form of the target', async (t) => {
  const server = await startServer(t, tell);
  const rest = 'Host: h\r\nConnection: keep-alive\r\n\r\n';
  const client = await server.connect();
  const requests: readonly (readonly [line: string, status: number])[] = [
    ['GET / HTTP/1.1', 200],
    ['GET / HTTP/1.1', 200],
    ['GET / HTTP/1.0', 200],
    ['GET http://h/ HTTP/1.1', 200],
    ['OPTIONS * HTTP/1.1', 200],
    ['POST / HTTP/1.1', 200],
    ['GET / HTTP/1.1', 200],
    ['GET http://other/ HTTP/1.1', 400],
  ];
  for (const [line, status] of requests) {
    const answer = await client.request(`${line}\r\n${rest}`);
    t.is(answer.status, status, line);
  }
  const old = await server.once('POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n');
  t.is(old.status, 400, 'HTTP/1.0 POST without a length');
});

test('a change of the headers is seen by its own request only', async (t) => {
  const server = await startServer(t, (context) => {
    const { headers } = context.request;
    const before = headers.get('x-a');
    headers.set('x-a', 'changed');
    return context.response.text(`${String(before)} ${String(headers.get('x-a'))}`);
  });
  const client = await server.connect();
  for (let i = 0; i < 5; i++) {
    const answer = await client.request(bytesOf(['X-A: own'], '/'));
    t.is(answer.text, 'own changed');
  }
});
