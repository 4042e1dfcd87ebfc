/**
 * Between programs that write the answer to an upgrade themselves, byte for byte, as Node's `upgrade` event
 * lets them, and a server that answers by features: takes the head that they write apart. 101 (CONNECT:
 * 2xx) upgrades; any other is an ordinary answer.
 */
import { Buffer } from 'node:buffer';
import { HttpUpgradeFeature } from '../features/http-features.js';
import { statusOf } from '../http/error-response.js';
import { WindhoverError } from '../http/errors.js';
import { requireFeature } from '../http/feature-access.js';
import type { HttpContext } from '../http/http-context.js';
import type { SocketGate, UpgradedSocket, WriteDone } from '../http/upgraded-socket.js';
import { linkTo } from './duplex-link.js';
import { extendedProtocolOf, UPGRADE_ANSWER_FIELDS } from './extended-connect.js';

/** The most that such an answer can have before it upgrades, or in all where it does not (bytes). */
const ANSWER_MAX = 131_072;
const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS_LINE = /^HTTP\/1\.[01] ([0-9]{3})(?: [^\r\n]*)?$/;
/** What is the server's to say. */
const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'transfer-encoding',
]);

/** A feature of this package: it takes a socket that is there already, and needs no promise. */
interface UpgradesOnto {
  _upgradeOnto?(socket: UpgradedSocket): Promise<void> | undefined;
}

/** An answer's head as it was written. */
interface WrittenHead {
  readonly status: number;
  readonly lines: readonly (readonly [name: string, value: string])[];
}

export class AnswerGate implements SocketGate {
  /** Settles when the request has its answer; rejects with what kept it from being upgraded. */
  readonly settled: Promise<void>;
  private settle!: () => void;
  private fail!: (error: Error) => void;
  private isSettled = false;
  private written: Buffer = Buffer.alloc(0);
  /** Once the head has said that there is no upgrade: its status. */
  private refusal: number | undefined = undefined;
  /** The request is an extended CONNECT, shown as an HTTP/1.1 request that asks for an upgrade. */
  private readonly isExtended: boolean;

  constructor(
    private readonly context: HttpContext,
    private readonly socket: UpgradedSocket,
  ) {
    this.isExtended = extendedProtocolOf(context) !== undefined;
    this.settled = new Promise((resolve, reject) => {
      this.settle = () => {
        this.isSettled = true;
        resolve();
      };
      this.fail = (error) => {
        this.isSettled = true;
        reject(error);
      };
    });
    this.settled.catch(ignore); // the client is answered in any case
  }

  write(data: Uint8Array, done: WriteDone): void {
    try {
      this.written = this.written.length === 0 ? Buffer.from(data) : this.append(data);
      if (this.written.length > ANSWER_MAX) throw badAnswer('it is too long');
      if (this.refusal === undefined) this.readHead(done);
      else done();
    } catch (error) {
      this.answerFailure(error);
      done(error as Error);
    }
  }

  end(done: WriteDone): void {
    this.destroyed();
    done();
  }

  destroyed(): void {
    if (this.isSettled) return;
    if (this.refusal !== undefined) {
      this.answerRefusal();
      return;
    }
    // Without an answer: the client sees that the connection is gone, as it would with Node's own server.
    attempt(() => {
      this.context.abort();
    });
    this.settle();
  }

  private append(data: Uint8Array): Buffer {
    return Buffer.concat([this.written, data]);
  }

  private readHead(done: WriteDone): void {
    for (;;) {
      const end = this.written.indexOf(HEAD_END);
      if (end < 0) {
        done();
        return;
      }
      const head = parseHead(this.written.toString('latin1', 0, end));
      this.written = this.written.subarray(end + HEAD_END.length);
      if (head.status < 200 && head.status !== 101) continue; // interim
      const { context, isExtended } = this;
      const isConnect = context.request.method === 'CONNECT' && !isExtended;
      if (isConnect ? head.status >= 200 && head.status <= 299 : head.status === 101) {
        this.upgrade(head, done);
      } else {
        this.refuse(head);
        done();
      }
      return;
    }
  }

  private upgrade(head: WrittenHead, done: WriteDone): void {
    const { context, socket } = this;
    const { response } = context;
    if (head.status !== 101) response.statusCode = head.status;
    else if (this.isExtended) response.statusCode = 200;
    for (const [name, value] of head.lines) {
      const lower = name.toLowerCase();
      const dropped = this.isExtended ? UPGRADE_ANSWER_FIELDS.has(lower) : lower === 'connection';
      if (!dropped) response.headers.append(name, value);
    }
    const feature: HttpUpgradeFeature & UpgradesOnto = requireFeature(
      context.features,
      HttpUpgradeFeature,
    );
    const waiting =
      feature._upgradeOnto === undefined
        ? feature.upgrade().then((stream) => {
            socket._attach(linkTo(stream, socket));
          })
        : feature._upgradeOnto(socket);
    if (waiting === undefined) {
      this.goOn(done);
      return;
    }
    waiting.then(
      () => {
        this.goOn(done);
      },
      (error: unknown) => {
        this.answerFailure(error);
        done(error as Error);
      },
    );
  }

  /** What was written behind the head is the tunnel's. */
  private goOn(done: WriteDone): void {
    const { written, socket } = this;
    this.written = Buffer.alloc(0);
    this.settle();
    if (written.length > 0 && !socket.destroyed) socket._writeOn(written, done);
    else done();
  }

  private refuse(head: WrittenHead): void {
    const { response } = this.context;
    response.statusCode = head.status;
    for (const [name, value] of head.lines) {
      const lower = name.toLowerCase();
      if (FRAMING.has(lower) || (this.isExtended && lower === 'upgrade')) continue;
      response.headers.append(name, value);
    }
    // On HTTP/2 a stream ends by itself.
    if (this.context.request.protocol !== 'HTTP/2') response.headers.set('Connection', 'close');
    this.refusal = head.status;
  }

  private answerRefusal(): void {
    attempt(() => {
      const { response } = this.context;
      void response.bytes(this.written, response.contentType);
    });
    this.settle();
  }

  private answerFailure(error: unknown): void {
    if (this.isSettled) return;
    attempt(() => {
      const { response } = this.context;
      if (response.hasStarted) return;
      for (const name of new Set([...response.headers].map(([name]) => name))) {
        response.headers.delete(name);
      }
      const status = statusOf(error);
      response.statusCode = status;
      void response.text(`${String(status)}\n`);
    });
    this.fail(error as Error);
  }
}

function parseHead(text: string): WrittenHead {
  const [first, ...rest] = text.split('\r\n');
  const status = STATUS_LINE.exec(first);
  if (status === null) throw badAnswer('its first line is no status line');
  const lines = rest.map((line) => {
    const colon = line.indexOf(':');
    if (colon <= 0) throw badAnswer('one of its lines is no header line');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  return { status: Number(status[1]), lines };
}

function badAnswer(why: string): WindhoverError {
  return new WindhoverError(
    'WH_ERR_INVALID_ANSWER',
    `What was written to the socket of an upgrade is no answer: ${why}`,
  );
}

/** The context may be over: then somebody else has answered. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // Nothing can be done from here.
  }
}

function ignore(): void {
  // Whoever waits is told all the same.
}
