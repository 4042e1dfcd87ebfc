/** The open connections of a server on node:http: who may come in, and how they end. */
import type { Socket } from 'node:net';
import { BlockList, isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { codedRangeError } from '../../http/errors.js';
import type {
  Connection,
  ConnectionEnd,
  ConnectionEndReason,
  ConnectionEnds,
  ConnectionMiddleware,
} from '../connections.js';
import { connectionName } from '../windhover/connection-features.js';
import { CODE } from '../../http/option-errors.js';

/** What is on a connection, as far as its end concerns it. */
export interface OnConnection {
  /** The connection is gone. */
  onGone(): void;
  /** The server stops. */
  onStopping?(): void;
}

let connectionNumber = 0;

/** An IPv4 address in IPv6's clothes is what the client used. */
const MAPPED = /^::ffff:(?=\d+\.)/i;

export function endsOf(socket: Socket): ConnectionEnds {
  const { remoteAddress, remotePort = 0, localAddress, localPort = 0 } = socket;
  return {
    remoteAddress: remoteAddress?.replace(MAPPED, ''),
    remotePort,
    localAddress: localAddress?.replace(MAPPED, ''),
    localPort,
  };
}

/** One connection, from its accept to its end. */
export class NodeConnection implements Connection {
  readonly id = connectionName(++connectionNumber);
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
  readonly localAddress: string | undefined;
  readonly localPort: number;
  readonly startTime = performance.now();
  requests = 0;
  /** Why it ended, where the server knows better than by the socket. */
  endReason: ConnectionEndReason | undefined = undefined;
  /** What carries HTTP: the socket, or TLS on it. */
  stream: Socket | TLSSocket;
  /** Ends it with its running requests; HTTP/2 alone. */
  closeGently: (() => void) | undefined = undefined;
  upgraded = false;
  /** Its next answer is its last. */
  isLast = false;
  /** What is said once the requests on it are answered: what came behind them was bad. */
  lastWords: string | undefined = undefined;
  /** Requests and tunnels on it. */
  readonly running = new Set<OnConnection>();

  constructor(readonly raw: Socket) {
    this.stream = raw;
    const { remoteAddress, remotePort, localAddress, localPort } = endsOf(raw);
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.localAddress = localAddress;
    this.localPort = localPort;
  }

  /** The ends of the socket, which are all that is known here. */
  get socket(): ConnectionEnds {
    const { remoteAddress, remotePort, localAddress, localPort } = this;
    return { remoteAddress, remotePort, localAddress, localPort };
  }

  /** Ends it at once; where the transport can, the peer sees a reset. */
  reset(reason: ConnectionEndReason): void {
    this.endReason ??= reason;
    resetSocket(this.raw);
    this.stream.destroy();
  }

  /** Ends it after what was written. */
  end(reason: ConnectionEndReason): void {
    this.endReason ??= reason;
    this.stream.destroySoon();
  }
}

/** Destroys a socket so that the peer sees a reset, where that can be had. */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy(); // a Unix socket
  }
}

/** Whether clients may come in, by their addresses: `allow` and `deny` of an endpoint. */
export class ClientFilter {
  private readonly allowed: AddressList | undefined;
  private readonly denied: AddressList | undefined;

  /** @throws RangeError WH_ERR_INVALID_OPTION */
  constructor(name: string, allow: string | undefined, deny: string | undefined) {
    this.allowed = allow === undefined ? undefined : new AddressList(`${name}.allow`, allow);
    this.denied = deny === undefined ? undefined : new AddressList(`${name}.deny`, deny);
  }

  admits(address: string | undefined): boolean {
    if (this.denied?.has(address) === true) return false;
    return this.allowed?.has(address) ?? true;
  }
}

class AddressList {
  /** Apart: a list of both would take an IPv4 address for one of IPv6's. */
  private readonly networks = { ipv4: new BlockList(), ipv6: new BlockList() };
  private hasUnix = false;

  constructor(name: string, list: string) {
    for (const entry of list.split(' ').filter((text) => text !== '')) {
      if (entry === 'unix') {
        this.hasUnix = true;
        continue;
      }
      const [address, prefix] = entry.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      const bits = family === 'ipv6' ? 128 : 32;
      const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
      if (isIP(address) === 0 || length < 0 || length > bits) {
        throw codedRangeError(
          CODE,
          `option '${name}' must have IP addresses, networks or 'unix', not '${entry}'`,
        );
      }
      this.networks[family].addSubnet(address, length, family);
    }
  }

  has(address: string | undefined): boolean {
    if (address === undefined) return this.hasUnix;
    const [bare] = address.split('%');
    const family = isIP(bare) === 6 ? 'ipv6' : 'ipv4';
    return this.networks[family].check(bare, family);
  }
}

/** What is told of connections. */
export interface ConnectionCounts {
  total: number;
  rejected: number;
  refused: number;
  upgraded: number;
  bytesReceived: number;
  bytesSent: number;
}

/** All that are open. */
export class ConnectionSet {
  readonly counts: ConnectionCounts = {
    total: 0,
    rejected: 0,
    refused: 0,
    upgraded: 0,
    bytesReceived: 0,
    bytesSent: 0,
  };
  /** Called when the last one has gone. */
  onEmpty: () => void = () => undefined;
  isStopping = false;
  private readonly open = new Set<NodeConnection>();
  private readonly byStream = new WeakMap<object, NodeConnection>();

  /** @param report - Told what middleware throws. */
  constructor(private readonly report: (error: unknown) => void) {}

  get size(): number {
    return this.open.size;
  }

  add(connection: NodeConnection): void {
    this.open.add(connection);
    this.counts.total++;
    this.byStream.set(connection.raw, connection);
    let failed = false;
    connection.raw.on('error', () => {
      failed = true;
    });
    connection.raw.once('close', () => {
      this.open.delete(connection);
      connection.endReason ??= failed ? 'connection_reset' : 'client_closed';
      this.counts.bytesReceived += connection.raw.bytesRead;
      this.counts.bytesSent += connection.raw.bytesWritten;
      if (connection.upgraded) this.counts.upgraded--;
      for (const each of [...connection.running]) each.onGone();
      connection.running.clear();
      if (this.open.size === 0) this.onEmpty();
    });
  }

  /** TLS stands on it now. */
  carry(connection: NodeConnection, stream: TLSSocket): void {
    connection.stream = stream;
    this.byStream.set(stream, connection);
  }

  find(stream: object): NodeConnection | undefined {
    return this.byStream.get(stream);
  }

  /** Tells middleware of a connection that has come in, and of its end. */
  tell(connection: NodeConnection, use: readonly ConnectionMiddleware[]): void {
    for (const middleware of use) {
      this.attempt(() => middleware.opened?.(connection));
      connection.raw.once('close', () => {
        const { raw, requests, startTime, endReason = 'client_closed' } = connection;
        const end: ConnectionEnd = {
          reason: endReason,
          duration: performance.now() - startTime,
          bytesReceived: raw.bytesRead,
          bytesSent: raw.bytesWritten,
          requests,
        };
        this.attempt(() => middleware.closed?.(connection, end));
      });
    }
  }

  /** From now on connections end with their answers; tunnels are told. */
  stop(): void {
    this.isStopping = true;
    for (const connection of this.open) {
      connection.closeGently?.();
      for (const each of connection.running) each.onStopping?.();
    }
  }

  /** Ends those on which nothing runs. */
  endIdle(): void {
    for (const connection of this.open) {
      if (connection.running.size === 0) connection.end('server_stopped');
    }
  }

  /** Resets all. */
  abort(): void {
    for (const connection of this.open) connection.reset('server_stopped');
  }

  reference(on: boolean): void {
    for (const { raw } of this.open) {
      if (on) raw.ref();
      else raw.unref();
    }
  }

  private attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.report(error);
    }
  }
}
