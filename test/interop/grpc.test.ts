/** gRPC's own client, in cleartext and over TLS, against methods written by hand. */
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { Client, credentials, Metadata, status as codes } from '@grpc/grpc-js';
import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { GrpcError, serveGrpc } from '../support/grpc.js';
import type { GrpcMethod } from '../support/grpc.js';
import type { SecureServer } from '../support/secure-server.js';
import { authority, startSecure, visitor } from '../support/secure-server.js';
import { deferred, until, within } from '../support/until.js';

const LARGE = Buffer.alloc(3_000_000, 'large');

interface Facts {
  readonly cancelled: string[];
}

function methodsOf({ cancelled }: Facts): Readonly<Record<string, GrpcMethod>> {
  return {
    '/test.Echo/Unary': async ({ messages, send, context }) => {
      const { request, response } = context;
      const own = request.headers.get('x-own');
      if (own !== undefined) {
        response.headers.set('x-head', own);
        response.trailers.set('x-trailer', own);
      }
      for await (const message of messages) await send(message);
    },
    '/test.Echo/Fail': async ({ messages }) => {
      for await (const message of messages) throw new GrpcError(5, `no ${message.toString()}`);
    },
    '/test.Echo/Throw': () => Promise.reject(new Error('unexpected')),
    '/test.Echo/ServerStream': async ({ messages, send }) => {
      for await (const message of messages) {
        const count = Number(message.toString());
        for (let i = 0; i < count; i++) {
          if (i % 7 === 0) await new Promise(setImmediate);
          await send(Buffer.from(`message ${String(i)}`));
        }
      }
    },
    '/test.Echo/ClientStream': async ({ messages, send }) => {
      let count = 0;
      let length = 0;
      for await (const message of messages) {
        count++;
        length += message.length;
      }
      await send(Buffer.from(`${String(count)} ${String(length)}`));
    },
    '/test.Echo/Both': async ({ messages, send }) => {
      for await (const message of messages) await send(Buffer.from(`[${message.toString()}]`));
    },
    '/test.Echo/Forever': async ({ send, context }) => {
      await send(Buffer.from('tick'));
      await once(context.requestAborted, 'abort');
      cancelled.push(context.request.path);
    },
  };
}

const serialize = (message: Buffer): Buffer => message;
const deserialize = serialize;
const path = (name: string): string => `/test.Echo/${name}`;

async function start(
  t: ExecutionContext,
  clear: boolean,
): Promise<SecureServer & Facts & { client: Client }> {
  const facts: Facts = { cancelled: [] };
  const methods = methodsOf(facts);
  const server = await startSecure(t, (context) => serveGrpc(context, methods));
  const client = clear
    ? new Client(new URL(server.clearUrl).host, credentials.createInsecure(), OPTIONS)
    : new Client(
        `localhost:${String(server.port)}`,
        credentials.createSsl(
          Buffer.from(authority.cert),
          Buffer.from(visitor.key),
          Buffer.from(visitor.cert),
        ),
        OPTIONS,
      );
  t.teardown(() => {
    client.close();
  });
  return { ...server, ...facts, client };
}

const OPTIONS = { 'grpc.max_receive_message_length': -1, 'grpc.enable_retries': 0 };

function unary(
  client: Client,
  name: string,
  message: Buffer,
  metadata = new Metadata(),
): Promise<{ answer: Buffer; head: Metadata; trailers: Metadata }> {
  return new Promise((resolve, reject) => {
    const seen: { head?: Metadata; trailers?: Metadata } = {};
    let answer: Buffer | undefined;
    const call = client.makeUnaryRequest(
      path(name),
      serialize,
      deserialize,
      message,
      metadata,
      { deadline: Date.now() + 20_000 },
      (error: ServiceError | null, value?: Buffer) => {
        if (error !== null) reject(error);
        else answer = value;
      },
    );
    call.on('metadata', (head: Metadata) => (seen.head = head));
    call.on('status', (status: { metadata: Metadata }) => {
      setImmediate(() => {
        if (answer !== undefined) {
          resolve({ answer, head: seen.head as Metadata, trailers: status.metadata });
        }
      });
    });
  });
}

async function failureOf(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error('it did not fail');
}

async function collect(stream: ClientReadableStream<Buffer>): Promise<string[]> {
  const heard: string[] = [];
  for await (const message of stream) heard.push(String(message));
  return heard;
}

for (const clear of [true, false]) {
  const how = clear ? 'h2c' : 'TLS';

  test(`gRPC over ${how}: unary calls`, async (t) => {
    const { client, metrics } = await start(t, clear);
    const metadata = new Metadata();
    metadata.set('x-own', 'own');
    const { answer, head, trailers } = await unary(client, 'Unary', Buffer.from('hello'), metadata);
    t.is(answer.toString(), 'hello');
    t.deepEqual(head.get('x-head'), ['own']);
    t.deepEqual(trailers.get('x-trailer'), ['own']);
    t.is((await unary(client, 'Unary', Buffer.alloc(0))).answer.length, 0);
    t.true((await unary(client, 'Unary', LARGE)).answer.equals(LARGE));
    const many = Array.from({ length: 500 }, async (_, i) => {
      const sent = Buffer.from(`call ${String(i)}`);
      t.true((await unary(client, 'Unary', sent)).answer.equals(sent));
    });
    await Promise.all(many);
    t.is(metrics().totalConnections, 1);
  });

  test(`gRPC over ${how}: what fails`, async (t) => {
    const { client, reported } = await start(t, clear);
    const failing = async (name: string): Promise<[number, string]> => {
      const { code, details } = await failureOf(unary(client, name, Buffer.from('luck')));
      return [code, details];
    };
    t.deepEqual(await failing('Fail'), [codes.NOT_FOUND, 'no luck']);
    t.deepEqual(await failing('Nothing'), [codes.UNIMPLEMENTED, 'there is no such method']);
    const [code] = await failing('Throw');
    t.is(code, codes.UNKNOWN); // a status of HTTP that is none of gRPC's: 500
    t.is(reported.length, 1);
  });

  test(`gRPC over ${how}: streams of one side and of both`, async (t) => {
    const { client } = await start(t, clear);
    const down = client.makeServerStreamRequest(
      path('ServerStream'),
      serialize,
      deserialize,
      Buffer.from('1000'),
    );
    t.deepEqual(
      await within(collect(down), 'all messages'),
      Array.from({ length: 1000 }, (_, i) => `message ${String(i)}`),
    );

    const summed = deferred<string>();
    const up = client.makeClientStreamRequest(
      path('ClientStream'),
      serialize,
      deserialize,
      (error: ServiceError | null, value?: Buffer) => {
        if (error === null) summed.resolve(String(value));
        else summed.reject(error);
      },
    );
    for (let i = 0; i < 50; i++) {
      if (!up.write(Buffer.alloc(100_000))) await once(up, 'drain');
    }
    up.end();
    t.is(await within(summed.promise, 'the sum'), '50 5000000');

    const both = client.makeBidiStreamRequest(path('Both'), serialize, deserialize);
    for (let i = 0; i < 20; i++) {
      const heard = once(both, 'data');
      both.write(Buffer.from(`ping ${String(i)}`));
      t.is(String((await within(heard, 'a pong'))[0]), `[ping ${String(i)}]`);
    }
    const over = once(both, 'status');
    both.resume();
    both.end();
    t.is(((await within(over, 'the end')) as [{ code: number }])[0].code, codes.OK);
  });

  test(`gRPC over ${how}: cancelled, and out of time`, async (t) => {
    const { client, cancelled, metrics } = await start(t, clear);
    const call = client.makeServerStreamRequest(
      path('Forever'),
      serialize,
      deserialize,
      Buffer.alloc(0),
    );
    call.on('error', () => undefined);
    await within(once(call, 'data'), 'the first message');
    call.cancel();
    await until(() => cancelled.length === 1, 'the method has heard of it');
    const late = client.makeServerStreamRequest(
      path('Forever'),
      serialize,
      deserialize,
      Buffer.alloc(0),
      { deadline: Date.now() + 300 },
    );
    late.resume();
    const [error] = (await within(once(late, 'error'), 'the deadline')) as [ServiceError];
    t.is(error.code, codes.DEADLINE_EXCEEDED);
    await until(() => cancelled.length === 2, 'the method has heard of it');
    t.is((await unary(client, 'Unary', Buffer.from('after'))).answer.toString(), 'after');
    t.is(metrics().totalConnections, 1);
  });
}

test('gRPC: a stop waits for calls, and tells the client', async (t) => {
  const { client, server } = await start(t, true);
  const call = client.makeBidiStreamRequest(path('Both'), serialize, deserialize);
  const heard = once(call, 'data');
  call.write(Buffer.from('a'));
  await within(heard, 'an answer');
  const stopped = server.stop();
  const again = once(call, 'data');
  call.write(Buffer.from('b'));
  t.is(String((await within(again, 'another answer'))[0]), '[b]');
  const over = once(call, 'status');
  call.end();
  call.resume();
  t.is(((await within(over, 'the end')) as [{ code: number }])[0].code, codes.OK);
  await within(stopped, 'the stop');
});
