/** An answer of HTTP/2 by node:http2. */
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { WriteDone } from '../../http/upgraded-socket.js';
import type { AnswerHead, AnswerWire, FieldLines } from './wire.js';

/** Fields of a connection, which HTTP/2 does not have (RFC 9113 section 8.2.2). */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

export class Http2Wire implements AnswerWire {
  private trailers: FieldLines = [];

  readonly streamId: number;

  constructor(private readonly stream: ServerHttp2Stream) {
    this.streamId = stream.id ?? 0;
  }

  inform(status: number, lines: FieldLines): void {
    if (this.isGone()) return;
    this.stream.additionalHeaders({ ':status': status, ...toHeaders(lines) });
  }

  start({ status, lines, contentLength, hasBody }: AnswerHead): void {
    if (this.isGone()) return;
    const headers: OutgoingHttpHeaders = { ':status': status, ...toHeaders(lines) };
    if (contentLength >= 0) headers['content-length'] = contentLength;
    // They may be set until the end; without any Node sends an empty DATA frame.
    this.stream.respond(headers, { endStream: !hasBody, waitForTrailers: hasBody });
    if (!hasBody) return;
    this.stream.once('wantTrailers', () => {
      if (!this.isGone()) this.stream.sendTrailers(toHeaders(this.trailers));
    });
  }

  write(data: Uint8Array | string, done: WriteDone): void {
    if (this.isGone()) done();
    else this.stream.write(data, done);
  }

  end(data: Uint8Array | string | undefined, trailers: FieldLines | undefined): void {
    this.trailers = trailers ?? [];
    if (this.isGone() || this.stream.writableEnded) return;
    if (data === undefined || data.length === 0) this.stream.end();
    else this.stream.end(data);
  }

  reset(code: number = constants.NGHTTP2_INTERNAL_ERROR): void {
    if (!this.stream.closed) this.stream.close(code);
  }

  private isGone(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }
}

function toHeaders(lines: FieldLines): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of lines) {
    const lower = name.toLowerCase();
    if (OF_CONNECTION.has(lower)) continue;
    const before = headers[lower] as string | string[] | undefined;
    if (before === undefined) headers[lower] = value;
    else if (Array.isArray(before)) before.push(value);
    else headers[lower] = [before, value];
  }
  return headers;
}
