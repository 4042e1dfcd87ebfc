/**
 * Load for a server that is told to stop in the middle of it, and a count of what that cost: requests that
 * were sent and got no answer. A client here does what careful clients do and no more: it retries connects
 * that were refused, sends nothing after an answer that says `Connection: close`, and never sends a
 * request again.
 */
import type { NetConnectOpts, Socket } from 'node:net';
import { connect } from 'node:net';

/** What the load is. */
export interface StopLoadOptions {
  /** Where the server listens. */
  readonly target: NetConnectOpts;
  /** One request, whole. */
  readonly request: string;
  /** Clients that send on one connection, the next request as soon as the answer is there. */
  readonly kept: number;
  /** How many of those send four requests at once. */
  readonly pipelining: number;
  /** Clients that connect for each request. */
  readonly fresh: number;
}

/** What became of the requests. */
export interface StopLoadCounts {
  answered: number;
  /** Sent on a connection that had carried requests before, and not answered. */
  lostOnReused: number;
  /** Sent as the first of their connection, and not answered. */
  lostOnFresh: number;
  /** Answers that are none: another status than 200, or bytes that are no answer. */
  wrong: number;
  /** Answers that said `Connection: close`, on connections that were to be kept. */
  closes: number;
}

const BURST = 4;
const HEAD_END = '\r\n\r\n';

export class StopLoad {
  readonly counts: StopLoadCounts = {
    answered: 0,
    lostOnReused: 0,
    lostOnFresh: 0,
    wrong: 0,
    closes: 0,
  };
  /** Settles when every client has found the server gone. */
  readonly done: Promise<void>;

  constructor(private readonly options: StopLoadOptions) {
    const { kept, pipelining, fresh } = options;
    const clients: Promise<void>[] = [];
    for (let i = 0; i < kept; i++) clients.push(this.client(i < pipelining ? BURST : 1, true));
    for (let i = 0; i < fresh; i++) clients.push(this.client(1, false));
    this.done = Promise.all(clients).then(() => undefined);
  }

  private async client(burst: number, keep: boolean): Promise<void> {
    for (;;) {
      const socket = await this.connect();
      if (socket === undefined) return;
      await this.converse(socket, burst, keep);
    }
  }

  /** A connection; undefined where nobody listens any more. */
  private async connect(): Promise<Socket | undefined> {
    for (;;) {
      try {
        return await new Promise<Socket>((resolve, reject) => {
          const socket = connect(this.options.target, () => {
            socket.off('error', reject);
            socket.setNoDelay(true);
            resolve(socket);
          });
          socket.once('error', reject);
        });
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ECONNREFUSED' || code === 'ENOENT') return undefined;
        if (code === 'ECONNRESET') {
          this.counts.lostOnFresh++; // let in, and thrown out
          continue;
        }
        if (code !== 'EAGAIN') throw error; // the backlog of a Unix socket is full
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }

  /** Requests on one connection, until it ends. */
  private converse(socket: Socket, burst: number, keep: boolean): Promise<void> {
    const { counts, options } = this;
    const text = keep
      ? options.request
      : options.request.replace(HEAD_END, `\r\nConnection: close${HEAD_END}`);
    const whole = Buffer.from(text.repeat(burst), 'latin1');
    let due = 0;
    let sentBefore = 0;
    let input: Buffer = Buffer.alloc(0);
    let over = false;
    const send = (): void => {
      due = burst;
      socket.write(whole);
    };
    const take = (): void => {
      while (due > 0) {
        const answer = parse(input);
        if (answer === undefined) return;
        input = input.subarray(answer.length);
        due--;
        counts.answered++;
        if (answer.isWrong) counts.wrong++;
        if (answer.closes) {
          if (keep) counts.closes++;
          over = true;
          return;
        }
      }
    };
    return new Promise((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        if (over) return;
        input = input.length === 0 ? chunk : Buffer.concat([input, chunk]);
        take();
        if (over) {
          socket.end();
        } else if (due === 0) {
          sentBefore += burst;
          send();
        }
      });
      socket.on('error', () => undefined); // and then it is closed
      socket.on('close', () => {
        if (sentBefore > 0) counts.lostOnReused += due;
        else counts.lostOnFresh += due;
        resolve();
      });
      send();
    });
  }
}

/** The first answer among the bytes; undefined where it is not complete. */
function parse(
  bytes: Buffer,
): { readonly length: number; readonly closes: boolean; readonly isWrong: boolean } | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd + 2);
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
  const end = headEnd + HEAD_END.length + Number(length ?? 0);
  if (bytes.length < end) return undefined;
  return {
    length: end,
    closes: /\r\nconnection: *close\r\n/i.test(head),
    isWrong: length === undefined || !head.startsWith('HTTP/1.1 200 '),
  };
}

/** The requests that the servers of this comparison know. */
export const stopRequests = {
  json: 'GET /json HTTP/1.1\r\nHost: h\r\n\r\n',
  slow: 'GET /slow HTTP/1.1\r\nHost: h\r\n\r\n',
  body: `POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n${'x'.repeat(10_000)}`,
  chunked: `POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${`3e8\r\n${'x'.repeat(1000)}\r\n`.repeat(10)}0\r\n\r\n`,
} as const satisfies Record<string, string>;
