/** Upgrades on the native core: the checks, the head, and the socket. */
import type { Duplex } from 'node:stream';
import type { HttpUpgradeFeature } from '../../features/http-features.js';
import { codedRangeError, codedTypeError, WindhoverError } from '../../http/errors.js';
import type { HeaderMap } from '../../http/header-map.js';
import { UpgradedSocket } from '../../http/upgraded-socket.js';
import {
  Command,
  CommandFlag,
  RequestFlag,
  UpgradeResult,
} from '../../native/generated/shared-layout.js';
import { HeaderId } from '../../native/generated/header-names.js';
import type { Slot } from '../../native/slot.js';
import { dropConnectionFields } from './http2-features.js';
import type { LiveExchange } from './live-exchange.js';
import { HEAD_MAX, requireSize } from './response-head.js';
import { UpgradeLink } from './upgrade-link.js';

/** What the feature needs of its exchange. */
export interface UpgradableExchange extends LiveExchange {
  statusCode: number;
  readonly link: UpgradeLink | undefined;
  readonly headers: HeaderMap;
  prepareUpgrade(): Promise<void> | undefined;
  becomeTunnel(statusCode: number, link: UpgradeLink): void;
  onAborted(status: number): void;
}

export class UpgradeFeature implements HttpUpgradeFeature {
  private begun = false;

  constructor(private readonly exchange: UpgradableExchange) {}

  get isUpgradableRequest(): boolean {
    this.exchange.ensureLive();
    return (this.exchange.slot.flags() & RequestFlag.UPGRADE) !== 0;
  }

  async upgrade(): Promise<Duplex> {
    const socket = new UpgradedSocket();
    await this._upgradeOnto(socket);
    return socket;
  }

  /**
   * @internal The same with a socket that is there already; a promise only where something that was
   * registered with onStarting takes time. Throws what `upgrade` rejects with.
   */
  _upgradeOnto(socket: UpgradedSocket): Promise<void> | undefined {
    const { exchange } = this;
    exchange.ensureLive();
    if (this.begun || exchange.link !== undefined) {
      throw new WindhoverError('WH_ERR_ALREADY_UPGRADED', 'The request was upgraded before');
    }
    if (!this.isUpgradableRequest) {
      throw new WindhoverError(
        'WH_ERR_NOT_UPGRADABLE',
        'The request cannot be upgraded: it is not CONNECT with its stream open, nor HTTP/1.1 with ' +
          'Connection: upgrade and Upgrade and without a body',
      );
    }
    const waiting = exchange.prepareUpgrade();
    if (waiting === undefined) {
      this.accept(socket);
      return undefined;
    }
    this.begun = true;
    return waiting
      .then(() => {
        exchange.ensureLive();
        void exchange.prepareUpgrade(); // what ran may have answered
        this.accept(socket);
      })
      .finally(() => {
        this.begun = false;
      });
  }

  private accept(socket: UpgradedSocket): void {
    const { exchange } = this;
    const { slot, generation } = exchange;
    if (exchange.aborted) throw clientGone();
    const isConnect = slot.method() === 'CONNECT';
    const status = isConnect ? requireSuccess(exchange.statusCode) : 101;
    if (slot.isHttp2()) dropConnectionFields(exchange.headers, slot.host);
    const { flags, text } = composeUpgradeHead(exchange.headers, isConnect ? undefined : slot);
    const { commands } = slot.host;
    commands.write(Command.UPGRADE, flags, slot.number, generation, status, text, '');
    // Whether there may be one more is the core's to say.
    commands.flush();
    const result = slot.upgradeResult();
    if (result === UpgradeResult.LIMIT) {
      throw new WindhoverError(
        'WH_ERR_TOO_MANY_UPGRADED',
        'There are as many upgraded connections as limits.maxConcurrentUpgradedConnections allows',
      );
    }
    if (result !== UpgradeResult.DONE) {
      exchange.onAborted(0); // the event that says so is on its way
      throw clientGone();
    }
    const link = new UpgradeLink(slot, generation, socket);
    exchange.becomeTunnel(status, link);
    socket._attach(link);
    if (slot.host.stopping) link.onStopping();
  }
}

function clientGone(): WindhoverError {
  return new WindhoverError('WH_ERR_REQUEST_ABORTED', 'The client has gone before the upgrade');
}

/** The status that says yes to CONNECT. */
function requireSuccess(status: number): number {
  if (Number.isInteger(status) && status >= 200 && status <= 299) return status;
  throw codedRangeError(
    'WH_ERR_INVALID_STATUS',
    `The status of an answer that makes a tunnel of CONNECT must be an integer of 200 to 299, not ${String(status)}`,
  );
}

/**
 * The header lines of an answer that upgrades. Connection is the server's.
 *
 * @param asked - The request whose Upgrade field names the protocol; none for CONNECT.
 */
function composeUpgradeHead(
  headers: HeaderMap,
  asked: Slot | undefined,
): { readonly flags: number; readonly text: string } {
  let flags = 0;
  let text = '';
  let hasUpgrade = false;
  for (const { name, lower, value } of headers._lines) {
    switch (lower) {
      case 'content-length':
      case 'transfer-encoding':
        throw codedTypeError(
          'WH_ERR_INVALID_HEADER_NAME',
          `${name} cannot be set on an answer that upgrades: it has no body (RFC 9110 sections 8.6 and 9.3.6)`,
        );
      case 'connection':
        continue;
      case 'date':
        flags |= CommandFlag.HAS_DATE;
        break;
      case 'server':
        flags |= CommandFlag.HAS_SERVER;
        break;
      case 'upgrade':
        hasUpgrade = value !== '';
        break;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (asked !== undefined && !hasUpgrade) text += `Upgrade: ${onlyProtocol(asked)}\r\n`;
  requireSize(text, HEAD_MAX, 'The header fields of an answer');
  return { flags, text };
}

/** The protocol that the client wants, where it names one. */
function onlyProtocol(slot: Slot): string {
  const line = slot.findKnown(HeaderId.Upgrade, 0);
  const value = line < 0 ? '' : slot.fieldValue(line);
  const another = line < 0 ? -1 : slot.findKnown(HeaderId.Upgrade, line + 1);
  if (another < 0 && PROTOCOL.test(value)) return value;
  throw new WindhoverError(
    'WH_ERR_UPGRADE_PROTOCOL',
    'The client named not exactly one protocol: set the response header Upgrade to the one that it gets',
  );
}

/** `protocol` of RFC 9110 section 7.8. */
const PROTOCOL = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;
