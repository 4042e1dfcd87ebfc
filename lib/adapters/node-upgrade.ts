/** A request as the listeners of Node's `upgrade` and `connect` events know it. */
import { Buffer } from 'node:buffer';
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WindhoverError } from '../http/errors.js';
import type { HttpContext } from '../http/http-context.js';
import { UpgradedSocket } from '../http/upgraded-socket.js';
import { AnswerGate } from './answer-gate.js';

/** What a listener of node:http's `upgrade` event gets. */
export interface NodeUpgrade {
  /** The request: method, url, headers, rawHeaders, socket. It has no body. */
  readonly request: IncomingMessage;
  /**
   * The connection. The answer is to be written to it, head and all: 101 (CONNECT: 2xx) upgrades, any other
   * status is sent as an ordinary answer, and destroying it without an answer ends the connection.
   */
  readonly socket: UpgradedSocket;
  /** Always empty: what the client has sent behind its request comes by the socket. */
  readonly head: Buffer;
  /**
   * Settles when the request has its answer: what a handler has to wait for. Rejects with what kept it from
   * being upgraded, as HttpUpgradeFeature.upgrade does, or with WindhoverError WH_ERR_INVALID_ANSWER; the
   * client has been answered then.
   */
  readonly settled: Promise<void>;
}

/**
 * Gives a request to a program made for node:http's `upgrade` event, such as ws's handleUpgrade, a proxy's
 * `ws` method, or an upgrade listener of one's own.
 *
 * @param context - A request that can be upgraded.
 * @throws WindhoverError WH_ERR_NOT_UPGRADABLE where it cannot.
 */
export function toNodeUpgrade(context: HttpContext): NodeUpgrade {
  if (!context.isUpgradableRequest) {
    throw new WindhoverError('WH_ERR_NOT_UPGRADABLE', 'The request cannot be upgraded');
  }
  const { connection } = context;
  const { remoteAddress, localAddress } = connection;
  const socket = new UpgradedSocket([
    remoteAddress,
    remoteAddress === undefined ? undefined : connection.remotePort,
    localAddress,
    localAddress === undefined ? undefined : connection.localPort,
  ]);
  const gate = new AnswerGate(context, socket);
  socket._gate = gate;
  return {
    request: toIncomingMessage(context, socket),
    socket,
    head: Buffer.alloc(0),
    settled: gate.settled,
  };
}

function toIncomingMessage({ request }: HttpContext, socket: UpgradedSocket): IncomingMessage {
  const message = new IncomingMessage(socket as unknown as Socket);
  const [major, minor] = request.protocol.slice('HTTP/'.length).split('.').map(Number);
  message.httpVersion = `${String(major)}.${String(minor)}`;
  message.httpVersionMajor = major;
  message.httpVersionMinor = minor;
  message.method = request.method;
  message.url = request.rawTarget;
  message.rawHeaders = [...request.headers].flat();
  const headers: Record<string, string | string[] | undefined> = {};
  for (const [name] of request.headers) {
    const lower = name.toLowerCase();
    if (Object.hasOwn(headers, lower)) continue;
    headers[lower] =
      lower === 'set-cookie' ? [...request.headers.getAll(name)] : request.headers.get(name);
  }
  message.headers = headers;
  message.complete = true;
  message.push(null);
  return message;
}
