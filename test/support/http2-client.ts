/** Requests by node:http2, with all that comes back. */
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  ClientSessionRequestOptions,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from 'node:http2';
import { within } from './until.js';

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  readonly trailers: IncomingHttpHeaders | undefined;
  /** Heads before it. */
  readonly informational: readonly (IncomingHttpHeaders & IncomingHttpStatusHeader)[];
  readonly body: Buffer;
  readonly text: string;
  /** The code with which the stream ended. */
  readonly code: number;
  readonly streamId: number;
}

export type Body = string | Uint8Array | undefined;

/** Sends a request and takes the whole answer. Rejects where the stream ends before it. */
export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Body,
  options: ClientSessionRequestOptions = {},
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined, ...options });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

/** Takes the whole answer of a stream. */
export async function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  const informational: Http2Answer['informational'][number][] = [];
  let head: Http2Answer['headers'] | undefined;
  let trailers: IncomingHttpHeaders | undefined;
  const pieces: Buffer[] = [];
  let failure: Error | undefined;
  stream.on('headers', (fields) => informational.push(fields));
  stream.on('response', (fields) => (head = fields));
  stream.on('trailers', (fields) => (trailers = fields));
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  stream.on('error', (error: Error) => (failure = error));
  await within(closed(stream), 'the end of a stream');
  // Half an answer is none.
  if (failure !== undefined) throw failure;
  if (head === undefined) throw new Error(`no answer, code ${String(stream.rstCode)}`);
  const bytes = Buffer.concat(pieces);
  return {
    status: Number(head[':status']),
    headers: head,
    trailers,
    informational,
    body: bytes,
    text: bytes.toString(),
    code: stream.rstCode ?? 0,
    streamId: stream.id ?? 0,
  };
}

/** Settles when the stream is over, however it ended. */
export function closed(stream: ClientHttp2Stream): Promise<void> {
  stream.on('error', () => undefined);
  stream.resume();
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.once('close', resolve);
  });
}
