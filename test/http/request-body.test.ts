import { once } from 'node:events';
import test from 'ava';
import { BadHttpRequestError } from '../../lib/http/errors.js';
import { RequestBody } from '../../lib/http/request-body.js';
import { coded } from '../support/errors.js';

/** A body of these pieces, and what became of it. */
function bodyOf(...pieces: readonly (string | Uint8Array)[]): {
  body: RequestBody;
  state: { given: number; closed: boolean };
} {
  const state = { given: 0, closed: false };
  const body = new RequestBody({
    async *[Symbol.asyncIterator]() {
      try {
        for (const piece of pieces) {
          state.given++;
          yield Buffer.from(piece as string);
        }
      } finally {
        state.closed = true;
      }
    },
  });
  return { body, state };
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<string[]> {
  const chunks: string[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk).toString());
  return chunks;
}

const READERS: Readonly<Record<string, (body: RequestBody) => unknown>> = {
  iterate: (body) => body[Symbol.asyncIterator](),
  bytes: (body) => body.bytes(),
  text: (body) => body.text(),
  json: (body) => body.json(),
  stream: (body) => body.stream(),
  readable: (body) => body.readable(),
};

test('iterates the pieces as they come, without the empty ones', async (t) => {
  t.deepEqual(await collect(bodyOf('ab', '', 'c').body), ['ab', 'c']);
});

test('gives up the rest of a body when an iteration is left', async (t) => {
  const { body, state } = bodyOf('a', 'b', 'c');
  for await (const chunk of body) {
    t.is(Buffer.from(chunk).toString(), 'a');
    break;
  }
  t.deepEqual(state, { given: 1, closed: true });
});

test('reads all of it as bytes', async (t) => {
  t.deepEqual(await bodyOf('ab', '', 'c').body.bytes(), new Uint8Array([97, 98, 99]));
  t.is((await bodyOf().body.bytes()).byteLength, 0);
  t.is(Buffer.from(await bodyOf('one').body.bytes()).toString(), 'one');
});

test('leaves it to the server to read all of it, where that is offered', async (t) => {
  const whole = new Uint8Array([1, 2]);
  const source = {
    bytes: () => Promise.resolve(whole),
    [Symbol.asyncIterator]: (): never => t.fail(),
  };
  t.is(await new RequestBody(source).bytes(), whole);
});

test('reads text as UTF-8: split characters, byte order mark, bad bytes', async (t) => {
  const bird = Buffer.from('\u{1f985}é');
  t.is(await bodyOf(bird.subarray(0, 3), bird.subarray(3)).body.text(), '\u{1f985}é');
  t.is(await bodyOf(Buffer.from([0xef, 0xbb, 0xbf, 0x61])).body.text(), 'a');
  t.is(await bodyOf(Buffer.from([0x61, 0xff])).body.text(), 'a\ufffd');
  t.is(await bodyOf().body.text(), '');
});

test('reads JSON', async (t) => {
  t.deepEqual(await bodyOf('{"a":', '[1,null]}').body.json(), { a: [1, null] });
});

test('JSON that is none is the request’s fault: 400', async (t) => {
  for (const text of ['', '{', 'undefined', "{'a':1}"]) {
    const error = await t.throwsAsync(
      bodyOf(text).body.json(),
      coded('WH_ERR_INVALID_JSON', BadHttpRequestError),
      text,
    );
    t.is((error as BadHttpRequestError).statusCode, 400);
    t.true(error?.cause instanceof SyntaxError);
  }
});

test('gives a web stream, which reads only on demand and can be cancelled', async (t) => {
  const { body, state } = bodyOf('a', 'b', 'c');
  const stream = body.stream();
  t.is(state.given, 0);
  const reader = stream.getReader();
  t.is(Buffer.from((await reader.read()).value ?? []).toString(), 'a');
  await reader.cancel();
  t.deepEqual(state, { given: 1, closed: true });
  t.deepEqual(await collect(bodyOf('x', 'y').body.stream()), ['x', 'y']);
});

test('gives a Node stream', async (t) => {
  t.deepEqual(await collect(bodyOf('x', '', 'y').body.readable()), ['x', 'y']);
  const { body, state } = bodyOf('a', 'b');
  const readable = body.readable();
  readable.once('data', () => readable.destroy());
  await once(readable, 'close');
  t.true(state.closed);
});

test('a failure of the source comes out of every reader', async (t) => {
  const broken = (): RequestBody =>
    new RequestBody({
      // eslint-disable-next-line require-yield
      async *[Symbol.asyncIterator]() {
        throw new BadHttpRequestError(413, 'too large', 'WH_ERR_BODY_TOO_LARGE');
      },
    });
  const expected = coded('WH_ERR_BODY_TOO_LARGE', BadHttpRequestError);
  await t.throwsAsync(broken().bytes(), expected);
  await t.throwsAsync(broken().text(), expected);
  await t.throwsAsync(broken().json(), expected);
  await t.throwsAsync(collect(broken()), expected);
  await t.throwsAsync(collect(broken().stream()), expected);
  await t.throwsAsync(collect(broken().readable()), expected);
});

test('can be read once, whatever the two ways', async (t) => {
  for (const [first, read] of Object.entries(READERS)) {
    for (const [second, readAgain] of Object.entries(READERS)) {
      const { body } = bodyOf('1');
      t.false(body.used);
      const result = read(body);
      t.true(body.used);
      await t.throwsAsync(
        async () => readAgain(body),
        coded('WH_ERR_BODY_USED'),
        `${first}, ${second}`,
      );
      await (result as Promise<unknown>);
    }
  }
});

test('cannot be read when the request is over', async (t) => {
  for (const [name, read] of Object.entries(READERS)) {
    const { body } = bodyOf('1');
    body._dispose();
    await t.throwsAsync(async () => read(body), coded('WH_ERR_CONTEXT_DISPOSED'), name);
  }
});

test('an iteration ends with an error when the request does', async (t) => {
  const { body } = bodyOf('a', 'b');
  const iterator = body[Symbol.asyncIterator]();
  await iterator.next();
  body._dispose();
  await t.throwsAsync(iterator.next(), coded('WH_ERR_CONTEXT_DISPOSED'));
});
