/** Upgrades on node:http: the answer is written to the socket, which then is the tunnel. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { HttpUpgradeFeature } from '../../features/http-features.js';
import { UpgradedSocket } from '../../http/upgraded-socket.js';
import type { SocketEnds, SocketLink, WriteDone } from '../../http/upgraded-socket.js';
import { reasonPhrases } from '../../native/generated/status.js';
import {
  alreadyUpgraded,
  clientGone,
  notUpgradable,
  onlyProtocol,
  requireNoFraming,
  requireSuccess,
  tooManyUpgraded,
  upgradeWithin,
} from '../windhover/upgrade-rules.js';
import type { OnConnection } from './connections.js';
import { endsOf, resetSocket } from './connections.js';
import type { NodeExchange } from './exchange.js';
import { valuesOf } from './request-feature.js';

/** What the server has to say to an upgrade. */
export interface UpgradeHost {
  readonly addServerHeader: boolean;
  readonly isStopping: boolean;
  /** Counts one more upgraded connection; false where there may be none. */
  admitUpgrade(): boolean;
}

export class NodeUpgradeFeature implements HttpUpgradeFeature {
  private begun = false;
  private isTunnel = false;

  /**
   * @param socket - The connection, which HTTP is done with but for this answer; none where the request
   * cannot be upgraded.
   * @param letGo - Takes the answer's object off the socket.
   */
  constructor(
    private readonly exchange: NodeExchange,
    private readonly socket: Socket | undefined,
    private readonly letGo: () => void,
    private readonly host: UpgradeHost,
  ) {}

  get isUpgradableRequest(): boolean {
    return this.socket !== undefined;
  }

  async upgrade(): Promise<Duplex> {
    const socket = new UpgradedSocket();
    await this._upgradeOnto(socket);
    return socket;
  }

  /** @internal The same with a socket that is there already. Throws what `upgrade` rejects with. */
  _upgradeOnto(socket: UpgradedSocket): Promise<void> | undefined {
    const { exchange } = this;
    exchange.ensureLive();
    if (this.begun || this.isTunnel) throw alreadyUpgraded();
    if (this.socket === undefined) throw notUpgradable();
    return upgradeWithin(
      exchange,
      () => {
        this.accept(socket);
      },
      (begun) => {
        this.begun = begun;
      },
    );
  }

  private accept(socket: UpgradedSocket): void {
    const { exchange, socket: raw } = this;
    if (exchange.aborted || raw === undefined || raw.destroyed) throw clientGone();
    const isConnect = exchange.head.method === 'CONNECT';
    const status = isConnect ? requireSuccess(exchange.statusCode) : 101;
    const head = this.composeHead(status, isConnect);
    if (!this.host.admitUpgrade()) throw tooManyUpgraded();
    this.isTunnel = true;
    exchange.becomeTunnel(status);
    this.letGo();
    exchange.connection.upgraded = true;
    raw.write(head, 'latin1');
    const link = new NodeUpgradeLink(raw, socket);
    exchange.connection.running.add(link);
    socket._attach(link);
    if (this.host.isStopping) link.onStopping();
  }

  private composeHead(status: number, isConnect: boolean): string {
    const { headers, head, reasonPhrase } = this.exchange;
    let text = `HTTP/1.1 ${String(status)} ${reasonPhrase ?? reasonPhrases[status] ?? ''}\r\n`;
    if (!isConnect) text += 'Connection: Upgrade\r\n';
    for (const { name, lower, value } of headers._lines) {
      requireNoFraming(name, lower);
      if (lower !== 'connection') text += `${name}: ${value}\r\n`;
    }
    if (!isConnect && !headers.has('Upgrade')) {
      text += `Upgrade: ${onlyProtocol(valuesOf(head.lines, 'upgrade'))}\r\n`;
    }
    if (!headers.has('Date')) text += `Date: ${new Date().toUTCString()}\r\n`;
    if (this.host.addServerHeader && !headers.has('Server')) text += 'Server: windhover\r\n';
    return `${text}\r\n`;
  }
}

/** The tunnel: bytes between the socket and what the application has. */
class NodeUpgradeLink implements SocketLink, OnConnection {
  private toldStopping = false;

  constructor(
    private readonly raw: Socket,
    private readonly socket: UpgradedSocket,
  ) {
    raw.pause();
    raw.on('data', (data: Uint8Array) => {
      if (!socket._receive(data)) raw.pause();
    });
    raw.pause(); // the listener has set it going
    raw.on('end', () => {
      socket._receiveEnd();
    });
  }

  ends(): SocketEnds {
    const { remoteAddress, remotePort, localAddress, localPort } = endsOf(this.raw);
    return remoteAddress === undefined
      ? [undefined, undefined, undefined, undefined]
      : [remoteAddress, remotePort, localAddress, localPort];
  }

  write(data: Uint8Array, done: WriteDone): void {
    this.raw.write(data, () => {
      done();
    });
  }

  end(): void {
    this.raw.end();
  }

  read(on: boolean): void {
    if (on) this.raw.resume();
    else this.raw.pause();
  }

  close(reset: boolean): void {
    if (reset) resetSocket(this.raw);
    else this.raw.destroySoon();
  }

  onGone(): void {
    if (this.socket.destroyed || (this.socket.readableEnded && this.socket.writableFinished))
      return;
    const error = new Error('read ECONNRESET');
    this.socket.destroy(Object.assign(error, { code: 'ECONNRESET', syscall: 'read' }));
  }

  onStopping(): void {
    if (this.toldStopping) return;
    this.toldStopping = true;
    process.nextTick(() => {
      this.socket._tellStopping();
    });
  }
}
