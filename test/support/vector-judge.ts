/** Sends cases of test/vectors/http1.txt to a server, and says what came otherwise than they say. */
import { setTimeout as delay } from 'node:timers/promises';
import { HttpRequestTrailersFeature } from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { RawAnswer, RawClient } from './raw-client.js';
import { within } from './until.js';
import type { VectorCase, VectorField, VectorRequest } from './vectors.js';
import type { WireServer } from './wire-server.js';

/** What the application tells of its request, in a field of the answer: answers to HEAD have no body. */
interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly target: string;
  readonly protocol: string;
  readonly host: string;
  readonly fields: readonly (readonly [string, string])[];
  /** As Latin-1. */
  readonly body: string;
  /** Undefined where the server hands none over. */
  readonly trailers: readonly (readonly [string, string])[] | undefined;
}

/** The application: reads the body, and answers with what it saw. */
export async function tell(context: HttpContext): Promise<void> {
  const { request, response } = context;
  const body = Buffer.from(await request.body.bytes()).toString('latin1');
  const trailers = context.features.get(HttpRequestTrailersFeature);
  const seen: Seen = {
    method: request.method,
    path: request.path,
    query: request.queryString,
    target: request.rawTarget,
    protocol: request.protocol,
    host: request.host,
    fields: [...request.headers],
    body,
    trailers: trailers === undefined ? undefined : [...trailers.trailers],
  };
  response.statusCode = statusFor(request.method);
  response.headers.set('Seen', Buffer.from(JSON.stringify(seen)).toString('base64'));
  await response.text('ok');
}

/** It opens no tunnels. */
function statusFor(method: string): number {
  return method === 'CONNECT' ? 501 : 200;
}

const NEXT = 'GET /next HTTP/1.1\r\nHost: next\r\n\r\n';

/** How long the server is given to read a piece that it may not want any more (ms). */
const PIECE_PATIENCE = 30;

/** A case and the pieces in which it is sent. */
export interface Attempt {
  readonly vector: VectorCase;
  readonly pieces: readonly Buffer[];
  /** For messages. */
  readonly how: string;
}

/** Sends all of them at once, each on its own connection and piece by piece. What went wrong. */
export async function judgeAll(
  { connect, metrics }: WireServer,
  attempts: readonly Attempt[],
): Promise<string[]> {
  const clients = await Promise.all(attempts.map(() => connect()));
  const rounds = Math.max(...attempts.map(({ pieces }) => pieces.length));
  for (let round = 0; round < rounds; round++) {
    let due = metrics().bytesReceived;
    for (const [i, { pieces }] of attempts.entries()) {
      if (round >= pieces.length) continue;
      due += pieces[round].length;
      void clients[i].write(pieces[round]);
    }
    // So that each piece is read by itself. What was refused already may stay unread.
    const end = performance.now() + PIECE_PATIENCE;
    while (metrics().bytesReceived < due && performance.now() < end) await delay(0);
  }
  const faults = await Promise.all(
    attempts.map(async ({ vector, how }, i) => {
      if (vector.halfClose) clients[i].halfClose();
      try {
        await within(judgeAnswers(clients[i], vector), 'the answers');
        return undefined;
      } catch (error) {
        return `${vector.name} (${how}): ${String(error)}`;
      } finally {
        clients[i].destroy();
      }
    }),
  );
  return faults.filter((fault) => fault !== undefined);
}

function expect(what: string, got: unknown, expected: unknown): void {
  if (got === expected) return;
  const show = (value: unknown): string => JSON.stringify(value)?.slice(0, 200) ?? 'undefined';
  throw new Error(`${what} is ${show(got)}, not ${show(expected)}`);
}

/** The next answer that is none of 1xx. */
async function finalAnswer(client: RawClient, method: string): Promise<RawAnswer> {
  for (;;) {
    const answer = await client.answer(method);
    if (answer.status >= 200) return answer;
  }
}

async function judgeAnswers(client: RawClient, vector: VectorCase): Promise<void> {
  for (const request of vector.requests) {
    const answer = await finalAnswer(client, request.method);
    expect('the status', answer.status, statusFor(request.method));
    const connection = request.close ? 'close' : request.keepAlive ? 'keep-alive' : undefined;
    if (!vector.halfClose) {
      expect('Connection', answer.headers.get('connection')?.join(), connection);
    }
    judgeSeen(answer, request);
  }
  switch (vector.ending) {
    case 'open': {
      const next = await client.request(NEXT);
      expect('the status of the next answer', next.status, 200);
      expect('the next path', seenOf(next).path, '/next');
      return;
    }
    case 'refuse':
    case 'refuse-body': {
      const answer = await finalAnswer(client, 'GET');
      expect('the status', answer.status, vector.status);
      expect('Connection', answer.headers.get('connection')?.join(), 'close');
      expect('Allow', answer.headers.get('allow')?.join(), vector.allow);
      expect('Seen', answer.headers.get('seen'), undefined);
      break;
    }
    case 'raw':
      expect(
        'what comes',
        (await client.rest()).toString('latin1'),
        vector.raw?.toString('latin1'),
      );
      break;
    case 'close':
    case 'end':
      break;
  }
  expect('what comes besides', (await client.rest()).toString('latin1'), '');
  expect('the end', await client.closed, 'end');
}

function seenOf(answer: RawAnswer): Seen {
  const text = answer.headers.get('seen')?.join() ?? '';
  return JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Seen;
}

function judgeSeen(answer: RawAnswer, request: VectorRequest): void {
  const seen = seenOf(answer);
  expect('the method', seen.method, request.method);
  expect('the path', seen.path, request.path);
  expect('the query', seen.query, request.query);
  expect('the target', seen.target, request.target);
  expect('the protocol', seen.protocol, `HTTP/${request.version}`);
  expect('the body', seen.body, request.body.toString('latin1'));
  if (request.host !== undefined) expect('the host', seen.host, request.host);
  judgeFields('field', seen.fields, request.fields);
  if (seen.trailers !== undefined) judgeFields('trailer', seen.trailers, request.trailers);
}

function judgeFields(
  what: string,
  seen: readonly (readonly [string, string])[],
  expected: readonly VectorField[],
): void {
  const taken = new Map<string, number>();
  for (const { name, value } of expected) {
    const key = name.toLowerCase();
    const nth = taken.get(key) ?? 0;
    taken.set(key, nth + 1);
    const values = seen.filter(([other]) => other.toLowerCase() === key).map(([, text]) => text);
    expect(`${what} ${name}`, values[nth], value);
  }
}
