/** An answer of HTTP/1 by node:http. */
import type { ServerResponse } from 'node:http';
import type { WriteDone } from '../../http/upgraded-socket.js';
import { reasonPhrases } from '../../native/generated/status.js';
import type { NodeConnection } from './connections.js';
import type { AnswerHead, AnswerWire, FieldLines } from './wire.js';

/** What Node's own writeEarlyHints, writeContinue and writeProcessing go through. */
interface WritesRaw {
  _writeRaw(data: string, encoding: 'latin1'): boolean;
}

export class Http1Wire implements AnswerWire {
  constructor(
    private readonly response: ServerResponse,
    private readonly connection: NodeConnection,
  ) {}

  inform(status: number, lines: FieldLines): void {
    const { response } = this;
    if (response.req.httpVersion !== '1.1' || response.destroyed) return;
    const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const head = `HTTP/1.1 ${String(status)} ${reasonPhrases[status] ?? ''}\r\n${fields}\r\n`;
    (response as unknown as WritesRaw)._writeRaw(head, 'latin1');
  }

  start(head: AnswerHead): void {
    const { status, reason, lines, contentLength, close } = head;
    const fields: string[] = lines.flat();
    if (contentLength >= 0) fields.push('Content-Length', String(contentLength));
    if (close) fields.push('Connection', 'close');
    const phrase = reason ?? reasonPhrases[status] ?? '';
    this.response.writeHead(status, phrase, fields);
  }

  write(data: Uint8Array | string, done: WriteDone): void {
    this.response.write(data, done);
  }

  end(data: Uint8Array | string | undefined, trailers: FieldLines | undefined): void {
    if (trailers !== undefined) this.response.addTrailers(trailers as [string, string][]);
    if (data === undefined || data.length === 0) this.response.end();
    else this.response.end(data);
  }

  reset(): void {
    this.connection.reset('aborted_by_app');
  }
}
