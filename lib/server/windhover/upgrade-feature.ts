/** Upgrades on the native core: the checks, the head, and the socket. */
import type { Duplex } from 'node:stream';
import type { HttpUpgradeFeature } from '../../features/http-features.js';
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
import {
  alreadyUpgraded,
  clientGone,
  notUpgradable,
  onlyProtocol,
  requireNoFraming,
  requireSuccess,
  tooManyUpgraded,
  upgradeWithin,
} from './upgrade-rules.js';

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
    if (this.begun || exchange.link !== undefined) throw alreadyUpgraded();
    if (!this.isUpgradableRequest) throw notUpgradable();
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
      throw tooManyUpgraded();
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
    requireNoFraming(name, lower);
    switch (lower) {
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
  if (asked !== undefined && !hasUpgrade) text += `Upgrade: ${onlyProtocol(upgradesOf(asked))}\r\n`;
  requireSize(text, HEAD_MAX, 'The header fields of an answer');
  return { flags, text };
}

function upgradesOf(slot: Slot): string[] {
  const values: string[] = [];
  const find = (from: number): number => slot.findKnown(HeaderId.Upgrade, from);
  for (let i = find(0); i >= 0; i = find(i + 1)) values.push(slot.fieldValue(i));
  return values;
}
