/** Reading the body of a request: once, in the way that suits. */
import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import type { RequestBodySource } from '../features/http-features.js';
import { BadHttpRequestError, contextDisposed, WindhoverError } from './errors.js';

/** U+FEFF at the start of a text is a mark, not content (Encoding Standard, "UTF-8 decode"). */
const BYTE_ORDER_MARK = 0xfeff;

/**
 * The body of a request. It can be taken once, by iterating or by one of the methods; the second attempt
 * throws WindhoverError WH_ERR_BODY_USED. All of them raise the server's error where the client sends a
 * bad body, too large a one, or goes away.
 */
export class RequestBody implements AsyncIterable<Uint8Array> {
  private taken = false;
  private over = false;

  /** @internal */
  constructor(
    /** @internal */
    readonly _source: RequestBodySource,
  ) {}

  /** Whether somebody has begun to read it. */
  get used(): boolean {
    return this.taken;
  }

  /** Takes the body piece by piece, as it arrives. Throws WH_ERR_BODY_USED. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const misuse = this.take();
    if (misuse !== undefined) throw misuse;
    return this.iterate();
  }

  /** The whole body. The array is the caller's. Rejects with WH_ERR_BODY_USED. */
  bytes(): Promise<Uint8Array> {
    const misuse = this.take();
    if (misuse !== undefined) return Promise.reject(misuse);
    return this._source.bytes === undefined ? this.collect() : this._source.bytes();
  }

  /**
   * The whole body as UTF-8 text, as fetch decodes it: a byte order mark is dropped, invalid bytes become
   * U+FFFD, and a charset in Content-Type is not looked at (Fetch Standard, "UTF-8 decode"). For another
   * one decode {@link bytes} with a TextDecoder. Rejects with WH_ERR_BODY_USED.
   */
  text(): Promise<string> {
    const text = this.bytes().then(decodeUtf8, (error: unknown) => {
      forgive(text);
      throw error;
    });
    return text;
  }

  /**
   * The whole body as JSON. Its shape is the client's word: check it.
   *
   * @returns What JSON.parse makes of it.
   * @throws BadHttpRequestError (400) WH_ERR_INVALID_JSON where it is no JSON; an empty body is none.
   */
  json(): Promise<unknown> {
    const json: Promise<unknown> = this.bytes().then(
      (bytes) => {
        const text = decodeUtf8(bytes);
        try {
          return JSON.parse(text) as unknown;
        } catch (error) {
          forgive(json);
          throw new BadHttpRequestError(400, 'The body is not valid JSON', 'WH_ERR_INVALID_JSON', {
            cause: error,
          });
        }
      },
      (error: unknown) => {
        forgive(json);
        throw error;
      },
    );
    return json;
  }

  /**
   * Takes the body as a web stream of bytes (a readable byte stream: it can be read into one's own memory,
   * `getReader({ mode: 'byob' })`). Nothing is read before it is asked for; cancelling gives the rest up,
   * and the server stops reading it from the client. Throws WH_ERR_BODY_USED.
   */
  stream(): ReadableStream<Uint8Array> {
    const iterator = this[Symbol.asyncIterator]();
    return new ReadableStream({
      type: 'bytes',
      async pull(controller) {
        const step = await iterator.next();
        if (step.done !== true) {
          controller.enqueue(ownBytes(step.value));
          return;
        }
        controller.close();
        // A reader with memory of its own is told by an answer of 0 bytes.
        controller.byobRequest?.respond(0);
      },
      async cancel() {
        await iterator.return?.();
      },
    });
  }

  /**
   * Takes the body as a Node stream. Destroying it gives the rest up, and the server stops reading it from
   * the client. Throws WH_ERR_BODY_USED.
   */
  readable(): Readable {
    const iterator = this[Symbol.asyncIterator]();
    const readable = Readable.from(
      { [Symbol.asyncIterator]: () => iterator },
      { objectMode: false },
    );
    // A stream that fails with nobody listening would end the process, and a client can make it fail.
    return readable.on('error', ignore);
  }

  /** @internal The request is over: what is still being read throws WH_ERR_CONTEXT_DISPOSED. */
  _dispose(): void {
    this.over = true;
  }

  /** @internal */
  _ensureAlive(): void {
    if (this.over) throw contextDisposed();
  }

  /** Claims the body; where that fails, the error to raise. */
  private take(): WindhoverError | undefined {
    if (this.over) return contextDisposed();
    if (this.taken) {
      return new WindhoverError(
        'WH_ERR_BODY_USED',
        'The body was read before; it can be read once',
      );
    }
    this.taken = true;
    return undefined;
  }

  private iterate(): BodyIterator {
    return new BodyIterator(this, this._source[Symbol.asyncIterator]());
  }

  private async collect(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    const iterator = this.iterate();
    for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) {
      chunks.push(step.value);
    }
    return joinChunks(chunks);
  }
}

/** Passes on the pieces of a source, without the empty ones, while the request lives. */
class BodyIterator implements AsyncIterator<Uint8Array> {
  constructor(
    private readonly body: RequestBody,
    private readonly inner: AsyncIterator<Uint8Array>,
  ) {}

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      this.body._ensureAlive();
      const step = await this.inner.next();
      if (step.done === true) return { done: true, value: undefined };
      if (step.value.byteLength > 0) return step;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.inner.return?.();
    return { done: true, value: undefined };
  }
}

/**
 * A promise that a client can break: who does not wait for it at once, because something else is to be
 * done first, must not lose the process to an unhandled rejection. Whoever waits is told all the same.
 */
function forgive(promise: Promise<unknown>): void {
  promise.catch(ignore);
}

function ignore(): void {
  // Nobody listens.
}

/** Bytes with a buffer of their own: a stream of bytes takes the buffer away from whoever had it. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isOwn = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return isOwn ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

function decodeUtf8(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
}

function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  let length = 0;
  for (const chunk of chunks) length += chunk.byteLength;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
