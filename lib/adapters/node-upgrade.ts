/** A request as the listeners of Node's `upgrade` and `connect` events know it. */
import { Buffer } from 'node:buffer';
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WindhoverError } from '../http/errors.js';
import type { HttpContext } from '../http/http-context.js';
import { UpgradedSocket } from '../http/upgraded-socket.js';
import { AnswerGate } from './answer-gate.js';
import { extendedProtocolOf, upgradeLines } from './extended-connect.js';

/** What a listener of node:http's `upgrade` event gets. */
export interface NodeUpgrade {
  /**
   * The request: method, url, headers, rawHeaders, socket. It has no body. An extended CONNECT of HTTP/2
   * (RFC 8441) is shown as the HTTP/1.1 request that asks for the same: GET, with `Upgrade`.
   */
  readonly request: IncomingMessage;
  /**
   * The connection. The answer is to be written to it, head and all: 101 (CONNECT: 2xx) upgrades (and goes
   * out as 200 where the request was an extended CONNECT), any other status is sent as an ordinary answer, and destroying it without an answer ends the connection.
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

function toIncomingMessage(context: HttpContext, socket: UpgradedSocket): IncomingMessage {
  const { request } = context;
  const message = new IncomingMessage(socket as unknown as Socket);
  const extended = extendedProtocolOf(context);
  const added = extended === undefined ? [] : upgradeLines(extended);
  const version = extended === undefined ? request.protocol : 'HTTP/1.1';
  const [major, minor = 0] = version.slice('HTTP/'.length).split('.').map(Number);
  message.httpVersion = `${String(major)}.${String(minor)}`;
  message.httpVersionMajor = major;
  message.httpVersionMinor = minor;
  message.method = extended === undefined ? request.method : 'GET';
  message.url = request.rawTarget;
  message.rawHeaders = [...request.headers, ...added].flat();
  const headers: Record<string, string | string[] | undefined> = {};
  for (const [name, value] of added) headers[name.toLowerCase()] = value;
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
