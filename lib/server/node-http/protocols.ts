/**
 * HTTP on connections that are in: by a node:http server and a node:http2 server that do not listen
 * themselves but are given connections, as Node's documentation of their `connection` events has it. Makes an
 * exchange of each request.
 */
import { Buffer } from 'node:buffer';
import type { IncomingMessage, Server } from 'node:http';
import { createServer, ServerResponse } from 'node:http';
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from 'node:http2';
import { constants, createServer as createHttp2Server } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionSet, NodeConnection } from './connections.js';
import { NodeExchange } from './exchange.js';
import { lingerOn, type Protocols } from './fronts.js';
import { Http1Wire } from './http1-wire.js';
import { Http2Wire } from './http2-wire.js';
import { type BodyOwner, NodeRequestBody } from './request-body.js';
import { checkHead, type RequestHead, toLines, valuesOf } from './request-feature.js';
import { composeRefusal, reasonOfParserError, type RefusalReason } from './refusals.js';
import type { NodeSettings } from './settings.js';
import { NodeUpgradeFeature, type UpgradeHost } from './upgrade-feature.js';
import type { AnswerWire, FieldLines } from './wire.js';

/** How often Node looks for heads that take too long: at least, at most (ms). */
const CHECK_LEAST = 50;
const CHECK_MOST = 1_000;

/** Node's own default of how long a whole request may take to come (ms): 300 s. */
const REQUEST_TIMEOUT = 300_000;

/** The end of a request came with its head (RFC 9113 section 6.2). */
const END_STREAM = 1;

/** What is done with requests. */
export interface RequestSink {
  run(exchange: NodeExchange): Promise<void>;
  /** A request was refused. */
  refused(connection: NodeConnection | undefined, reason: RefusalReason): void;
}

export class NodeProtocols implements Protocols {
  private readonly server1: Server;
  /** Ignores wishes to upgrade. */
  private readonly plainServer1: Server;
  private readonly server2: Http2Server;
  /** The connection that a session is being made for. */
  private entering: NodeConnection | undefined = undefined;
  private readonly sessions = new WeakMap<object, NodeConnection>();

  constructor(
    private readonly settings: NodeSettings,
    private readonly connections: ConnectionSet,
    private readonly sink: RequestSink,
    private readonly upgradeHost: UpgradeHost,
  ) {
    this.server1 = this.makeServer1();
    this.plainServer1 = this.makeServer1();
    this.server1.on('upgrade', (request, socket, head) => {
      this.onUpgrade(request, socket as Socket, head);
    });
    this.server1.on('connect', (request, socket, head) => {
      this.onUpgrade(request, socket as Socket, head);
    });
    this.server2 = this.makeServer2();
  }

  http1(connection: NodeConnection): void {
    this.server1.emit('connection', connection.stream);
  }

  http2(connection: NodeConnection): void {
    this.entering = connection;
    this.server2.emit('connection', connection.stream);
    this.entering = undefined;
  }

  /** Nothing is looked after any more. */
  close(): void {
    // They never listened, which is all that they could complain of.
    this.server1.close(() => undefined);
    this.plainServer1.close(() => undefined);
  }

  // --- HTTP/1 ---

  private makeServer1(): Server {
    const { limits } = this.settings;
    const { keepAliveTimeout, requestHeadersTimeout } = limits;
    const headersTimeout = requestHeadersTimeout === Infinity ? 0 : requestHeadersTimeout;
    const server = createServer({
      keepAliveTimeout: keepAliveTimeout === Infinity ? 0 : keepAliveTimeout,
      headersTimeout,
      requestTimeout: Math.max(REQUEST_TIMEOUT, headersTimeout),
      connectionsCheckingInterval: Math.min(
        CHECK_MOST,
        Math.max(CHECK_LEAST, Math.floor(headersTimeout / 4) || CHECK_MOST),
      ),
      maxHeaderSize: limits.maxRequestLineSize + limits.maxRequestHeadersTotalSize,
      requireHostHeader: false, // checked with the rest of the head
    });
    server.maxHeadersCount = 0; // what is too many is refused, not cut
    // A client that ends its side still gets its answer.
    (server as unknown as { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    server.on('request', (request, response) => {
      this.onRequest(request, response, false);
    });
    server.on('checkContinue', (request, response) => {
      this.onRequest(request, response, true);
    });
    server.on('checkExpectation', (request, response) => {
      this.refuse1(request, response, 'expectationFailed');
    });
    server.on('clientError', (error, socket) => {
      this.onClientError(error, socket as Socket);
    });
    // Its timeouts are set up when it listens; it does not, but has connections all the same.
    server.emit('listening');
    return server;
  }

  private onRequest(
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
    upgrade?: { readonly socket: Socket; readonly letGo: () => void },
  ): void {
    const connection = this.connections.find(request.socket);
    if (connection === undefined) {
      request.socket.destroy();
      return;
    }
    const head: RequestHead = {
      protocol: `HTTP/${request.httpVersion}`,
      scheme: connection.stream === connection.raw ? 'http' : 'https',
      method: request.method ?? '',
      target: request.url ?? '',
      lines: toLines(request.rawHeaders),
    };
    const target = checkHead(head, this.settings);
    if (typeof target === 'string') {
      this.refuse1(request, response, target);
      return;
    }
    let wantsContinue = expectsContinue;
    const contentLength = Number(request.headers['content-length'] ?? -1);
    const owner: BodyOwner = {
      canHaveBody: contentLength > 0 || request.headers['transfer-encoding'] !== undefined,
      contentLength,
      isReceived: () => request.complete,
      sendContinue: () => {
        if (wantsContinue && !response.headersSent) response.writeContinue();
        wantsContinue = false;
      },
      trailerLines: () => toLines(request.rawTrailers),
      onTooLarge: () => {
        connection.isLast = true;
      },
    };
    const wire = new Http1Wire(response, connection);
    const { exchange, body } = this.makeExchange(head, target, owner, request, wire, connection);
    const { socket } = upgrade ?? {};
    const isUpgradable = socket !== undefined && head.protocol === 'HTTP/1.1';
    exchange.upgrade = new NodeUpgradeFeature(
      exchange,
      isUpgradable ? socket : undefined,
      upgrade?.letGo ?? (() => undefined),
      this.upgradeHost,
    );
    request.on('error', () => undefined); // the connection tells as well
    response.on('error', () => undefined);
    response.once('prefinish', () => {
      // A client that was not told to go on may send its body, or may not: nobody can tell.
      const isUnread = !body.isComplete && !request.complete;
      if (isUnread && (wantsContinue || body.isTooLarge)) connection.isLast = true;
    });
    const isOver = Promise.all([
      this.sink.run(exchange),
      new Promise<void>((resolve) => {
        exchange.onAnswered = resolve;
        response.once('finish', resolve).once('close', resolve);
        if (connection.raw.destroyed) resolve();
      }),
    ]);
    response.once('finish', () => {
      this.afterAnswer(request, connection, body);
    });
    void isOver.then(() => {
      this.leave(exchange, connection);
    });
  }

  /** The answer is out; what of the request has not come may be in the way of the next one. */
  private afterAnswer(
    request: IncomingMessage,
    connection: NodeConnection,
    body: NodeRequestBody,
  ): void {
    const { lingerTimeout, requestBodyDrainTimeout } = this.settings.limits;
    body.discard();
    if (request.complete || connection.upgraded) return;
    const { stream } = connection;
    if (connection.isLast) {
      // Node would close at once, which takes the answer from a client that still sends.
      stream.destroySoon = () => {
        stream.end();
        lingerOn(stream, lingerTimeout);
      };
      return;
    }
    const timer = setTimeout(() => {
      connection.reset('server_closed');
    }, requestBodyDrainTimeout);
    const clear = (): void => {
      clearTimeout(timer);
    };
    request.once('end', clear).once('close', clear);
  }

  private leave(exchange: NodeExchange, connection: NodeConnection): void {
    connection.running.delete(exchange);
    if (connection.running.size > 0 || connection.upgraded) return;
    if (connection.lastWords !== undefined) {
      connection.stream.end(connection.lastWords);
      lingerOn(connection.stream, this.settings.limits.lingerTimeout);
    } else if (this.connections.isStopping && !connection.isLast) {
      connection.end('server_stopped');
    }
  }

  private refuse1(request: IncomingMessage, response: ServerResponse, reason: RefusalReason): void {
    const connection = this.connections.find(request.socket);
    this.sink.refused(connection, reason);
    const { status, lines, body } = this.settings.refusals[reason];
    const fields: string[] = lines.flat();
    if (reason === 'methodForTarget') fields.push('Allow', 'OPTIONS, CONNECT');
    fields.push('Content-Length', String(Buffer.byteLength(body)), 'Connection', 'close');
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    if (connection !== undefined && !request.complete) {
      const { stream } = connection;
      stream.destroySoon = () => {
        stream.end();
        lingerOn(stream, this.settings.limits.lingerTimeout);
      };
    }
    response.writeHead(status, fields);
    response.end(body);
  }

  private onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.connections.find(socket);
    const isEnd = error.code === 'HPE_INVALID_EOF_STATE' || error.code === 'ECONNRESET';
    if (connection === undefined || isEnd || !socket.writable) {
      socket.destroy();
      return;
    }
    const reason = reasonOfParserError(error.code);
    this.sink.refused(connection, reason);
    connection.isLast = true;
    const refusal = this.settings.refusals[reason];
    const running = [...connection.running];
    if (running.length === 0) {
      if (reason === 'requestHeadersTimeout') connection.endReason = 'request_headers_timeout';
      socket.end(composeRefusal(refusal));
      lingerOn(socket, this.settings.limits.lingerTimeout);
      return;
    }
    // The body of the last one is bad; or all of them are complete, and what follows is.
    const last = running.at(-1);
    if (last instanceof NodeExchange && !last.isReceived) last.onAborted(refusal.status);
    else connection.lastWords = composeRefusal(refusal);
  }

  // --- upgrades ---

  private onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const length = request.headers['content-length'];
    const hasBody =
      request.headers['transfer-encoding'] !== undefined ||
      (length !== undefined && length !== '0');
    if (request.method !== 'CONNECT' && hasBody) {
      // With a body the wish is ignored, so it goes to a server that does.
      const fields = toFields(request.rawHeaders);
      const first = `${request.method ?? ''} ${request.url ?? ''} HTTP/${request.httpVersion}\r\n`;
      const start = Buffer.from(`${first}${fields}\r\n`, 'latin1');
      socket.unshift(Buffer.concat([start, head]));
      this.plainServer1.emit('connection', socket);
      return;
    }
    if (head.length > 0) socket.unshift(head);
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    const letGo = (): void => {
      response.detachSocket(socket);
    };
    response.once('finish', () => {
      letGo();
      socket.end();
      lingerOn(socket, this.settings.limits.lingerTimeout);
    });
    this.onRequest(request, response, false, { socket, letGo });
  }

  // --- HTTP/2 ---

  private makeServer2(): Http2Server {
    const { limits } = this.settings;
    const { http2 } = limits;
    const server = createHttp2Server({
      settings: {
        maxConcurrentStreams: http2.maxStreamsPerConnection,
        headerTableSize: http2.headerTableSize,
        maxFrameSize: http2.maxFrameSize,
        initialWindowSize: http2.initialStreamWindowSize,
        maxHeaderListSize: limits.maxRequestHeadersTotalSize,
      },
      // Pseudo-header fields come on top; what is too many is refused by a status.
      maxHeaderListPairs: 2 * limits.maxRequestHeaderCount + 8,
    });
    server.on('session', (session) => {
      this.onSession(session);
    });
    server.on('stream', (stream, headers, flags, ...rest) => {
      const [raw] = rest as unknown as [string[] | undefined];
      this.onStream(stream, headers, flags, raw ?? flatten(headers));
    });
    server.on('sessionError', () => undefined); // its connection is gone, and says so
    return server;
  }

  private onSession(session: ServerHttp2Session): void {
    const connection = this.entering;
    if (connection === undefined) {
      session.destroy();
      return;
    }
    this.sessions.set(session, connection);
    const { keepAliveTimeout, http2 } = this.settings.limits;
    session.setLocalWindowSize(http2.initialConnectionWindowSize);
    connection.closeGently = () => {
      if (!session.closed) session.close();
    };
    if (keepAliveTimeout === Infinity) return;
    session.setTimeout(keepAliveTimeout, () => {
      if (connection.running.size > 0) return;
      connection.endReason = 'keep_alive_timeout';
      session.close();
    });
  }

  private onStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    raw: readonly string[],
  ): void {
    const { session } = stream;
    const connection = session === undefined ? undefined : this.sessions.get(session);
    stream.on('error', () => undefined); // its end says the same
    if (connection === undefined) {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    const lines = toLines(raw).filter(([name]) => !name.startsWith(':'));
    const { ':authority': authority, ':method': method = '', ':path': path } = headers;
    if (authority !== undefined && valuesOf(lines, 'host').length === 0) {
      lines.unshift(['host', authority]);
    }
    const isConnect = method === 'CONNECT';
    const head: RequestHead = {
      protocol: 'HTTP/2',
      scheme: connection.stream === connection.raw ? 'http' : 'https',
      method,
      target: (isConnect ? authority : path) ?? '',
      lines,
    };
    const target = isConnect ? 'connectNotAccepted' : checkHead(head, this.settings);
    if (typeof target === 'string') {
      this.sink.refused(connection, target);
      const { status, lines: fields, body } = this.settings.refusals[target];
      const wire = new Http2Wire(stream);
      const contentLength = Buffer.byteLength(body);
      wire.start({
        ...{ status, lines: fields, contentLength, reason: undefined },
        ...{ hasBody: body !== '', close: false, trailers: false },
      });
      wire.end(body, undefined);
      stream.resume();
      return;
    }
    let trailers: readonly string[] = [];
    stream.on('trailers', (_fields, _flags, ...rest) => {
      const [given] = rest as unknown as [string[] | undefined];
      trailers = given ?? flatten(_fields);
    });
    let wantsContinue = /^100-continue$/i.test(headers.expect ?? '');
    const owner: BodyOwner = {
      canHaveBody: (flags & END_STREAM) === 0,
      contentLength: Number(headers['content-length'] ?? -1),
      isReceived: () => stream.readableEnded,
      sendContinue: () => {
        if (wantsContinue && !stream.headersSent && !stream.destroyed) {
          stream.additionalHeaders({ ':status': 100 });
        }
        wantsContinue = false;
      },
      trailerLines: () => toLines(trailers).filter(([name]) => !name.startsWith(':')),
      onTooLarge: () => undefined,
    };
    const wire = new Http2Wire(stream);
    const { exchange, body } = this.makeExchange(head, target, owner, stream, wire, connection);
    stream.once('aborted', () => {
      exchange.onGone();
    });
    stream.once('close', () => {
      exchange.onGone();
    });
    stream.once('finish', () => {
      body.discard();
      // The answer is complete without the rest of the request (RFC 9113 section 8.1).
      if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    const gone = new Promise<void>((resolve) => {
      stream.once('close', resolve);
      if (stream.destroyed) resolve();
    });
    void Promise.all([this.sink.run(exchange), gone]).then(() => {
      connection.running.delete(exchange);
      if (this.connections.isStopping) connection.closeGently?.();
    });
  }

  private makeExchange(
    head: RequestHead,
    target: Exclude<ReturnType<typeof checkHead>, string>,
    owner: BodyOwner,
    stream: IncomingMessage | ServerHttp2Stream,
    wire: AnswerWire,
    connection: NodeConnection,
  ): { readonly exchange: NodeExchange; readonly body: NodeRequestBody } {
    const { settings } = this;
    const body = new NodeRequestBody(stream, owner, settings.limits.maxRequestBodySize);
    const isStopping = (): boolean => this.connections.isStopping;
    const parts = { head, target, body, wire, connection, settings, isStopping };
    return { exchange: new NodeExchange(parts), body };
  }
}

function toFields(raw: readonly string[]): string {
  let text = '';
  for (let i = 0; i + 1 < raw.length; i += 2) text += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return text;
}

/** Where Node does not give the lines themselves. */
function flatten(headers: IncomingHttpHeaders): string[] {
  return Object.entries(headers)
    .flatMap(([name, value]): FieldLines =>
      (Array.isArray(value) ? value : [value ?? '']).map((each) => [name, each]),
    )
    .flat();
}
