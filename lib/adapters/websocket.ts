/** WebSockets by a library that is made for node:http: the `ws` package, unchanged. */
import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { BadHttpRequestError, invalidArgument, WindhoverError } from '../http/errors.js';
import type { HttpContext } from '../http/http-context.js';
import { extendedProtocolOf, isWebSocket } from './extended-connect.js';
import { toNodeUpgrade } from './node-upgrade.js';

/** `1001 Going Away`: the server stops (RFC 6455 section 7.4.1). */
const GOING_AWAY = 1001;

/** What is used of a WebSocket. */
export interface AcceptedWebSocket {
  close(code?: number, reason?: string): void;
}

/** What is used of a WebSocket server: `new WebSocketServer({ noServer: true })` of ws is one. */
export interface WebSocketAcceptor<S extends AcceptedWebSocket> {
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: (webSocket: S, request: IncomingMessage) => void,
  ): void;
}

/**
 * Accepts a WebSocket. What it is listened to has to be said before anything else is waited for: messages
 * may come at once. When the server stops the client is told so (close code 1001); what has not closed when
 * the shutdown time is over is reset.
 *
 * On HTTP/1.1 that is an Upgrade, on HTTP/2 an extended CONNECT (RFC 8441), whose answer is 200.
 *
 * @param context - The request. It is answered in any case: 426 where it asks for no upgrade (on HTTP/2,
 * which has no Upgrade, 400; 501 to an extended CONNECT for another protocol), with what `server` says (such
 * as 400 where the handshake is wrong) where that refuses it.
 * @param server - Made with `{ noServer: true }`; its options (compression, maxPayload, verifyClient) hold.
 * @returns The WebSocket; it outlives the handler. Rejects with BadHttpRequestError WH_ERR_NOT_UPGRADABLE or
 * WH_ERR_UPGRADE_REFUSED (WindhoverError where the status is 500 or more), which need no further answer,
 * TypeError WH_ERR_INVALID_ARGUMENT, and as HttpUpgradeFeature.upgrade does.
 */
export async function acceptWebSocket<S extends AcceptedWebSocket>(
  context: HttpContext,
  server: WebSocketAcceptor<S>,
): Promise<S> {
  const { request, response } = context;
  if (typeof (server as Partial<typeof server> | undefined)?.handleUpgrade !== 'function') {
    throw invalidArgument('server', 'a WebSocketServer made with { noServer: true }', server);
  }
  const extended = extendedProtocolOf(context);
  const isAsking = extended === undefined ? request.method !== 'CONNECT' : isWebSocket(extended);
  if (!context.isUpgradableRequest || !isAsking) {
    throw await refuse(context, extended);
  }
  const upgrade = toNodeUpgrade(context);
  let accepted: S | undefined;
  server.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head, (webSocket) => {
    accepted = webSocket;
    upgrade.socket.on('closing', () => {
      webSocket.close(GOING_AWAY, 'the server stops');
    });
  });
  await upgrade.settled;
  if (accepted !== undefined) return accepted;
  const message = `The WebSocket was refused with status ${String(response.statusCode)}`;
  throw response.statusCode < 500
    ? new BadHttpRequestError(response.statusCode, message, 'WH_ERR_UPGRADE_REFUSED')
    : new WindhoverError('WH_ERR_UPGRADE_REFUSED', message);
}

/** Answers what asks for no WebSocket. @returns The error that says so. */
async function refuse(
  { request, response }: HttpContext,
  extended: string | undefined,
): Promise<BadHttpRequestError> {
  let status = 426;
  if (request.protocol === 'HTTP/2') {
    // RFC 9220 section 3 of a protocol that nobody knows.
    status = extended === undefined || isWebSocket(extended) ? 400 : 501;
  } else {
    response.headers.set('Upgrade', 'websocket');
    response.headers.set('Connection', 'Upgrade');
  }
  response.statusCode = status;
  await response.text(`${String(status)} ${REASONS[status]}: this is for WebSockets\n`);
  return new BadHttpRequestError(
    status,
    'The request asks for no WebSocket',
    'WH_ERR_NOT_UPGRADABLE',
  );
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  426: 'Upgrade Required',
  501: 'Not Implemented',
};
