/**
 * What may come of frames that are wrong (RFC 9113 section 5.4). Each verdict accepts what the RFC lets a
 * server choose; of windhover (`strict`) it asks for what windhover promises, which is mostly narrower.
 */
import type { H2Client, H2Response } from '../h2-client.js';
import type { ErrorCode } from './frames.js';
import type { Received } from './received.js';

/**
 * The connection ends with GOAWAY of one of these codes. The RFC lets a server leave GOAWAY out; windhover
 * sends it always, and then an end of file, not a reset.
 */
export async function connectionError(
  client: H2Client,
  ...codes: readonly ErrorCode[]
): Promise<void> {
  const fits = (frame: Received): boolean => frame.type === 'GOAWAY' || frame.type === 'END';
  const first = await client.take(fits, `GOAWAY ${codes.join(' or ')}`);
  if (first.type === 'GOAWAY') checkCode(client, first.code, codes);
  if (!client.strict) return;
  if (first.type !== 'GOAWAY') throw client.error('the connection ended without GOAWAY');
  if (first.lastStreamId > Math.max(client.lastStreamId, 0)) {
    throw client.error('GOAWAY tells of a stream that was never opened');
  }
  if ((await client.ended()) !== 'end') throw client.error('the connection was reset');
}

/** What a stream error may become. */
export interface StreamErrorOptions {
  /**
   * Whether windhover, too, may end the whole connection (RFC 9113 section 5.4.2 lets every server do so).
   * Default false: RST_STREAM, and the connection lives.
   */
  readonly orConnection?: boolean;
  /** Codes that a server may use which ends the connection. Default: the same. */
  readonly connectionCodes?: readonly ErrorCode[];
  /** Whether the stream may have been answered before the frame came that is wrong. */
  readonly afterAnswer?: boolean;
  /** Whether a server other than windhover may answer with a 4xx or 5xx first, or instead. */
  readonly orAnswer?: boolean;
}

/** A stream ends with RST_STREAM of one of these codes. */
export async function streamError(
  client: H2Client,
  streamId: number,
  codes: readonly ErrorCode[],
  options: StreamErrorOptions = {},
): Promise<void> {
  const fits = (frame: Received): boolean =>
    frame.type === 'GOAWAY' ||
    frame.type === 'END' ||
    ((frame.type === 'RST_STREAM' || frame.type === 'HEADERS') && frame.streamId === streamId);
  const what = `RST_STREAM ${codes.join(' or ')} on stream ${String(streamId)}`;
  for (;;) {
    const frame = await client.take(fits, what);
    if (frame.type === 'HEADERS') {
      const status = frame.fields.find(({ name }) => name === ':status')?.value ?? '';
      if (options.afterAnswer === true) continue;
      if (client.strict) throw client.error(`an answer, ${status}, instead of ${what}`);
      if (options.orAnswer === true && /^[45]/.test(status)) return;
      continue;
    }
    if (frame.type === 'RST_STREAM') {
      // A server that has answered already wants no more of the request.
      if (!client.strict && frame.code === 'NO_ERROR') continue;
      checkCode(client, frame.code, codes);
      if (client.strict) await alive(client);
      return;
    }
    if (frame.type === 'GOAWAY') checkCode(client, frame.code, options.connectionCodes ?? codes);
    if (!client.strict) return;
    if (options.orConnection !== true || frame.type !== 'GOAWAY') {
      throw client.error(`the connection ended instead of ${what}`);
    }
    if ((await client.ended()) !== 'end') throw client.error('the connection was reset');
    return;
  }
}

/** RFC 9113 section 8.1.1: a malformed request is a stream error, and no application sees it. */
export function malformed(client: H2Client, streamId: number): Promise<void> {
  return streamError(client, streamId, ['PROTOCOL_ERROR'], { orAnswer: true });
}

/** The server goes on: it answers a PING, and has complained of nothing. */
export async function alive(client: H2Client): Promise<void> {
  await client.ping();
  const complaint = (frame: Received): boolean =>
    frame.type === 'GOAWAY' || frame.type === 'END' || isComplaint(frame);
  if (client.has(complaint)) throw client.error('the server complains');
}

/** The server goes on, and answers another request. */
export async function serves(client: H2Client): Promise<void> {
  await alive(client);
  checkAnswer(client, await client.fetch(client.get()));
}

/** The stream is answered, with any status that means that its request was understood. */
export async function answered(client: H2Client, streamId: number): Promise<H2Response> {
  const response = await client.response(streamId);
  checkAnswer(client, response);
  return response;
}

/** The connection ends soon, in whatever way. */
export async function closes(client: H2Client): Promise<void> {
  await client.ended();
}

function checkAnswer(client: H2Client, response: H2Response): void {
  // 405: a server of files that got something else than GET. 400 would mean that it took offence.
  const isAnswer = response.status >= 200 && response.status !== 400;
  const isCut = response.reset !== undefined && response.reset !== 'NO_ERROR';
  if (!isAnswer || isCut) {
    throw client.error(`answered ${String(response.status)}, reset ${String(response.reset)}`);
  }
}

/** RST_STREAM with NO_ERROR only asks for no more of a request's body (RFC 9113 section 8.1). */
function isComplaint(frame: Received): boolean {
  return frame.type === 'RST_STREAM' && frame.code !== 'NO_ERROR';
}

function checkCode(client: H2Client, code: string, codes: readonly string[]): void {
  if (!codes.includes(code)) {
    throw client.error(`the code is ${code} and not ${codes.join(' or ')}`);
  }
}
