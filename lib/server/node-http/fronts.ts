/** What accepts the connections of an endpoint: lets them in or not, and leads them to their protocol. */
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import type { LaneEndpoint } from '../../native/addon.js';
import type { ConnectionMiddleware } from '../connections.js';
import { PROTOCOLS } from '../windhover/https-check.js';
import { ClientFilter, type ConnectionSet, NodeConnection, resetSocket } from './connections.js';
import { composeRefusal } from './refusals.js';
import type { NodeSettings } from './settings.js';
import { NodeTlsContexts, toTicketKey } from './tls-context.js';

/** What speaks HTTP on connections that are in. */
export interface Protocols {
  http1(connection: NodeConnection): void;
  http2(connection: NodeConnection): void;
}

/** What a connection of HTTP/2 begins with (RFC 9113 section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export class Front {
  /** Of an endpoint with TLS. */
  private contexts: NodeTlsContexts | undefined;
  private tlsServer: TlsServer | undefined;
  private readonly filter: ClientFilter;

  constructor(
    private readonly name: string,
    private readonly lane: LaneEndpoint,
    private readonly use: readonly ConnectionMiddleware[],
    private readonly settings: NodeSettings,
    private readonly connections: ConnectionSet,
    private readonly protocols: Protocols,
    private readonly report: (error: unknown) => void,
  ) {
    this.filter = new ClientFilter(name, lane.allow, lane.deny);
    if (lane.tls !== undefined) this.present(lane.tls);
  }

  /** What new connections get from now on. Throws RangeError WH_ERR_INVALID_OPTION; all is then as before. */
  present(tls: NonNullable<LaneEndpoint['tls']>): void {
    const contexts = new NodeTlsContexts(`${this.name}.https`, tls);
    this.contexts = contexts;
    if (this.tlsServer !== undefined) {
      this.tlsServer.setSecureContext(contexts.defaults());
      return;
    }
    const { handshakeTimeout } = this.settings.limits;
    const current = (): NodeTlsContexts => this.contexts ?? contexts;
    this.tlsServer = createTlsServer(NodeTlsContexts.serverOptions(current, handshakeTimeout));
    this.tlsServer.on('secureConnection', (socket) => {
      this.afterHandshake(socket, current());
    });
    this.tlsServer.on('tlsClientError', (_error, socket) => {
      socket.destroy();
    });
  }

  /** Other keys for session tickets. */
  setTicketKeys(keys: Uint8Array): void {
    this.tlsServer?.setTicketKeys(toTicketKey(keys));
  }

  /** A server that accepts for it, and does not listen yet. */
  makeServer(): Server {
    const hasFilter = this.use.some((middleware) => middleware.filter !== undefined);
    const server = createServer({
      allowHalfOpen: true,
      noDelay: this.lane.noDelay ?? true,
      pauseOnConnect: hasFilter,
    });
    return server.on('connection', (socket) => {
      this.accept(socket, hasFilter);
    });
  }

  private accept(socket: Socket, hasFilter: boolean): void {
    const { counts } = this.connections;
    if (!this.filter.admits(socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, ''))) {
      counts.refused++;
      resetSocket(socket);
      return;
    }
    if (this.connections.size >= this.settings.limits.maxConcurrentConnections) {
      counts.rejected++;
      this.reject(socket);
      return;
    }
    const connection = new NodeConnection(socket);
    this.connections.add(connection);
    if (!hasFilter) {
      this.enter(connection);
      return;
    }
    void this.ask(connection).then((admitted) => {
      if (socket.destroyed) return;
      if (!admitted) {
        counts.refused++;
        resetSocket(socket);
        return;
      }
      this.enter(connection);
      socket.resume();
    });
  }

  private async ask(connection: NodeConnection): Promise<boolean> {
    for (const middleware of this.use) {
      if (middleware.filter === undefined) continue;
      try {
        if ((await middleware.filter(connection)) !== true) return false;
      } catch (error) {
        this.report(error);
        return false;
      }
    }
    return true;
  }

  /** One connection too many: told so where that can be said. */
  private reject(socket: Socket): void {
    socket.on('error', () => {
      socket.destroy();
    });
    if (this.settings.closeOverLimit || this.tlsServer !== undefined) {
      socket.destroy();
      return;
    }
    const { connectionLimitRetryAfter, lingerTimeout } = this.settings.limits;
    const lines = [['Retry-After', String(connectionLimitRetryAfter)]] as const;
    socket.end(composeRefusal({ status: 503, lines, body: '' }));
    lingerOn(socket, lingerTimeout);
  }

  private enter(connection: NodeConnection): void {
    this.connections.tell(connection, this.use);
    if (this.tlsServer !== undefined) {
      this.tlsServer.emit('connection', connection.raw);
      return;
    }
    const { protocols = PROTOCOLS.http1 } = this.lane;
    if (protocols === PROTOCOLS.http1) this.protocols.http1(connection);
    else if (protocols === PROTOCOLS.http2) this.protocols.http2(connection);
    else this.sniff(connection);
  }

  private afterHandshake(socket: TLSSocket, contexts: NodeTlsContexts): void {
    // What TLS stands on; Node has no public name for it.
    const { _parent: raw } = socket as unknown as { _parent?: Socket };
    const connection = raw === undefined ? undefined : this.connections.find(raw);
    const { servername } = socket as { servername?: string | false | null };
    const hasCertificate = socket.getPeerX509Certificate() !== undefined;
    const isIn = contexts.admits(servername || '', hasCertificate, socket.authorized);
    if (connection === undefined || !isIn) {
      socket.destroy();
      return;
    }
    socket.on('error', () => {
      socket.destroy();
    });
    this.connections.carry(connection, socket);
    const isHttp2Only = contexts.tls.protocols === PROTOCOLS.http2;
    if (socket.alpnProtocol === 'h2') this.protocols.http2(connection);
    else if (isHttp2Only) socket.destroy();
    else this.protocols.http1(connection);
  }

  /** Both versions on cleartext: the first bytes tell. */
  private sniff(connection: NodeConnection): void {
    const { raw } = connection;
    const { requestHeadersTimeout } = this.settings.limits;
    const timer =
      requestHeadersTimeout === Infinity
        ? undefined
        : setTimeout(() => {
            raw.destroy();
          }, requestHeadersTimeout);
    let seen = Buffer.alloc(0);
    const look = (): void => {
      const piece = raw.read() as Buffer | null;
      if (piece !== null) seen = Buffer.concat([seen, piece]);
      const length = Math.min(seen.length, PREFACE.length);
      const isSame = seen.subarray(0, length).equals(PREFACE.subarray(0, length));
      if (isSame && length < PREFACE.length && !raw.readableEnded) return;
      stop();
      if (seen.length > 0) raw.unshift(seen);
      if (isSame && length > 0) this.protocols.http2(connection);
      else this.protocols.http1(connection);
    };
    const stop = (): void => {
      clearTimeout(timer);
      raw.off('readable', look);
      raw.off('end', look);
      raw.off('close', stop);
    };
    raw.on('readable', look);
    raw.on('end', look);
    raw.on('close', stop);
  }
}

/** Reads what still comes, so that the peer gets to read what was said, and closes in the end. */
export function lingerOn(socket: Socket, timeout: number): void {
  const timer = setTimeout(() => {
    resetSocket(socket);
  }, timeout);
  socket.once('close', () => {
    clearTimeout(timer);
  });
  socket.once('end', () => {
    socket.destroySoon();
  });
  socket.resume();
}
