/**
 * A client that sends exactly the bytes that it is told to, and takes answers apart by the letter of RFC
 * 9112: what a lenient client would forgive is an error here.
 */
import type { NetConnectOpts, Socket } from 'node:net';
import { connect as connectSocket } from 'node:net';

/** An answer as it stood on the wire. */
export interface RawAnswer {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  /** By lower-case name; the values in order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** Everything up to and including the empty line. */
  readonly head: string;
  readonly body: Buffer;
  /** How the end of the body was told. */
  readonly framing: 'length' | 'chunked' | 'close' | 'none';
  readonly text: string;
}

/** How a connection ended. */
export type Ending = 'end' | 'reset';

/** The bytes of a chunked body that end it. */
const LAST_CHUNK = '0\r\n\r\n';

export class RawClient {
  /** Settles when the connection is over: by an end of file, or by a reset. */
  readonly closed: Promise<Ending>;
  /** Bytes that came so far. */
  received = 0;
  /** What has come and was not taken stands from `start` to `end`. */
  private buffer = Buffer.alloc(0);
  private start = 0;
  private end = 0;
  private ending: Ending | undefined = undefined;
  private waiter: (() => void) | undefined = undefined;

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
      this.append(chunk);
      this.wake();
    });
    this.closed = new Promise((resolve) => {
      const finish = (ending: Ending): void => {
        this.ending ??= ending;
        this.wake();
        resolve(this.ending);
      };
      socket.on('end', () => {
        finish('end');
      });
      socket.on('error', () => {
        finish('reset');
      });
      socket.on('close', () => {
        finish('end');
      });
    });
  }

  /** Connects to a port of 127.0.0.1, or to what the options say. */
  static connect(target: number | NetConnectOpts): Promise<RawClient> {
    const options = typeof target === 'number' ? { host: '127.0.0.1', port: target } : target;
    return new Promise((resolve, reject) => {
      const socket = connectSocket({ ...options, allowHalfOpen: true }, () => {
        socket.off('error', reject);
        socket.setNoDelay(true);
        resolve(new RawClient(socket));
      });
      socket.once('error', reject);
    });
  }

  /** Sends bytes (a string as Latin-1). Settles when the system has them. */
  write(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      // Whether it arrives is seen in what comes back.
      this.socket.write(data, 'latin1', () => {
        resolve();
      });
    });
  }

  /** Ends our side; the answer may still come. */
  halfClose(): void {
    this.socket.end();
  }

  /** Lets go of the connection. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Ends the connection with RST. */
  reset(): Promise<void> {
    return new Promise((resolve) => {
      this.socket.once('close', () => {
        resolve();
      });
      this.socket.resetAndDestroy();
    });
  }

  /** Stops taking bytes: the system's buffers fill up. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /**
   * The next answer.
   *
   * @param method - The request's method: an answer to HEAD has no body.
   * @throws Error where the answer is malformed, or the connection ends before it is complete.
   */
  async answer(method = 'GET'): Promise<RawAnswer> {
    for (let needed = 0; ;) {
      const bytes = this.peek();
      if (bytes.length >= needed || this.ending !== undefined) {
        const parsed = parseAnswer(bytes, method, this.ending !== undefined);
        if (typeof parsed !== 'number') {
          this.start += parsed.length;
          return parsed.answer;
        }
        needed = parsed;
      }
      if (this.ending !== undefined) {
        throw new Error(
          `the connection's ${this.ending} cut an answer short: ${JSON.stringify(shorten(bytes))}`,
        );
      }
      await this.change();
    }
  }

  /** A request and its answer. */
  async request(bytes: string | Uint8Array, method = 'GET'): Promise<RawAnswer> {
    void this.write(bytes);
    return this.answer(method);
  }

  /** The next so many bytes. */
  async bytes(count: number): Promise<Buffer> {
    while (this.end - this.start < count) {
      if (this.ending !== undefined) throw new Error('the connection has ended');
      await this.change();
    }
    const bytes = this.peek().subarray(0, count);
    this.start += count;
    return bytes;
  }

  /** All that still comes. */
  async rest(): Promise<Buffer> {
    await this.closed;
    const bytes = this.peek();
    this.start = this.end;
    return bytes;
  }

  /** What has come and was not taken. */
  peek(): Buffer {
    return this.buffer.subarray(this.start, this.end);
  }

  /** Settles when something has come, or the connection has ended. */
  change(): Promise<void> {
    return new Promise((resolve) => {
      this.waiter = resolve;
    });
  }

  /** Bytes that somebody was given are never written over. */
  private append(chunk: Buffer): void {
    if (this.end + chunk.length > this.buffer.length) {
      const kept = this.peek();
      this.buffer = Buffer.allocUnsafeSlow(Math.max(2 * (kept.length + chunk.length), 4096));
      this.buffer.set(kept);
      this.start = 0;
      this.end = kept.length;
    }
    this.buffer.set(chunk, this.end);
    this.end += chunk.length;
  }

  private wake(): void {
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.();
  }
}

function shorten(bytes: Buffer): string {
  return bytes.subarray(0, 300).toString('latin1');
}

/** How many bytes there have to be at least before it makes sense to look again. */
type Needed = number;

/** Takes the first answer of some bytes apart, if it is complete. */
export function parseAnswer(
  bytes: Buffer,
  method: string,
  ended: boolean,
): { answer: RawAnswer; length: number } | Needed {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return bytes.length + 1;
  const head = bytes.toString('latin1', 0, headEnd + 4);
  const [statusLine, ...lines] = head.slice(0, -4).split('\r\n');
  const status = /^(HTTP\/1\.1) ([0-9]{3}) ([\t\x20-\x7e]*)$/.exec(statusLine);
  if (status === null) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`);
  const headers = parseLines(lines);
  const code = Number(status[2]);
  const start = headEnd + 4;
  const body = parseBody(bytes.subarray(start), code, headers, method, ended);
  if (typeof body === 'number') return start + body;
  return {
    answer: {
      version: status[1],
      status: code,
      reason: status[3],
      headers,
      head,
      body: body.bytes,
      framing: body.framing,
      get text() {
        return body.bytes.toString('utf8');
      },
    },
    length: start + body.length,
  };
}

function parseLines(lines: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const parts = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (parts === null) throw new Error(`not a field line: ${JSON.stringify(line)}`);
    const name = parts[1].toLowerCase();
    const values = headers.get(name) ?? [];
    values.push(parts[2]);
    headers.set(name, values);
  }
  return headers;
}

interface ParsedBody {
  readonly bytes: Buffer;
  /** The bytes that it takes on the wire. */
  readonly length: number;
  readonly framing: RawAnswer['framing'];
}

function parseBody(
  bytes: Buffer,
  status: number,
  headers: ReadonlyMap<string, readonly string[]>,
  method: string,
  ended: boolean,
): ParsedBody | Needed {
  const nothing = { bytes: Buffer.alloc(0), length: 0, framing: 'none' } as const;
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return nothing;
  const lengths = headers.get('content-length');
  const encodings = headers.get('transfer-encoding');
  if (encodings !== undefined) {
    if (lengths !== undefined) throw new Error('both Content-Length and Transfer-Encoding');
    if (encodings.join() !== 'chunked') throw new Error(`Transfer-Encoding is ${encodings.join()}`);
    return parseChunked(bytes);
  }
  if (lengths !== undefined) {
    if (lengths.length !== 1 || !/^[0-9]+$/.test(lengths[0])) {
      throw new Error(`Content-Length is ${lengths.join()}`);
    }
    const length = Number(lengths[0]);
    if (bytes.length < length) return length;
    return { bytes: bytes.subarray(0, length), length, framing: 'length' };
  }
  return ended ? { bytes, length: bytes.length, framing: 'close' } : bytes.length + 1;
}

function parseChunked(bytes: Buffer): ParsedBody | Needed {
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return bytes.length + 1;
    const line = bytes.toString('latin1', at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`not a chunk size: ${JSON.stringify(line)}`);
    const size = parseInt(line, 16);
    if (size === 0) {
      if (bytes.length < at + LAST_CHUNK.length) return at + LAST_CHUNK.length;
      const last = bytes.toString('latin1', at, at + LAST_CHUNK.length);
      if (last !== LAST_CHUNK) throw new Error(`not a last chunk: ${JSON.stringify(last)}`);
      const body = Buffer.concat(pieces);
      return { bytes: body, length: at + LAST_CHUNK.length, framing: 'chunked' };
    }
    const dataEnd = lineEnd + 2 + size;
    if (bytes.length < dataEnd + 2) return dataEnd + 2;
    if (bytes.toString('latin1', dataEnd, dataEnd + 2) !== '\r\n') {
      throw new Error('a chunk is longer than its size says');
    }
    pieces.push(bytes.subarray(lineEnd + 2, dataEnd));
    at = dataEnd + 2;
  }
}
