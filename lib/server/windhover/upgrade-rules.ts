/** What every server of this package keeps to when a connection leaves HTTP. */
import { codedRangeError, codedTypeError, WindhoverError } from '../../http/errors.js';

/** The exchange, as far as an upgrade waits for it. */
export interface UpgradingExchange {
  ensureLive(): void;
  /** Runs what comes before the start of an answer; throws where that has started. */
  prepareUpgrade(): Promise<void> | undefined;
}

/**
 * Accepts an upgrade once everything has run that comes before an answer; a promise only where that takes
 * time.
 *
 * @param setBegun - Told while something is waited for.
 */
export function upgradeWithin(
  exchange: UpgradingExchange,
  accept: () => void,
  setBegun: (begun: boolean) => void,
): Promise<void> | undefined {
  const waiting = exchange.prepareUpgrade();
  if (waiting === undefined) {
    accept();
    return undefined;
  }
  setBegun(true);
  return waiting
    .then(() => {
      exchange.ensureLive();
      void exchange.prepareUpgrade(); // what ran may have answered
      accept();
    })
    .finally(() => {
      setBegun(false);
    });
}

export function alreadyUpgraded(): WindhoverError {
  return new WindhoverError('WH_ERR_ALREADY_UPGRADED', 'The request was upgraded before');
}

export function notUpgradable(): WindhoverError {
  return new WindhoverError(
    'WH_ERR_NOT_UPGRADABLE',
    'The request cannot be upgraded: it is not CONNECT with its stream open, nor HTTP/1.1 with ' +
      'Connection: upgrade and Upgrade and without a body',
  );
}

export function tooManyUpgraded(): WindhoverError {
  return new WindhoverError(
    'WH_ERR_TOO_MANY_UPGRADED',
    'There are as many upgraded connections as limits.maxConcurrentUpgradedConnections allows',
  );
}

export function clientGone(): WindhoverError {
  return new WindhoverError('WH_ERR_REQUEST_ABORTED', 'The client has gone before the upgrade');
}

/** The status that says yes to CONNECT. */
export function requireSuccess(status: number): number {
  if (Number.isInteger(status) && status >= 200 && status <= 299) return status;
  throw codedRangeError(
    'WH_ERR_INVALID_STATUS',
    `The status of an answer that makes a tunnel of CONNECT must be an integer of 200 to 299, not ${String(status)}`,
  );
}

/** @throws TypeError WH_ERR_INVALID_HEADER_NAME for a field of framing. */
export function requireNoFraming(name: string, lower: string): void {
  if (lower !== 'content-length' && lower !== 'transfer-encoding') return;
  throw codedTypeError(
    'WH_ERR_INVALID_HEADER_NAME',
    `${name} cannot be set on an answer that upgrades: it has no body (RFC 9110 sections 8.6 and 9.3.6)`,
  );
}

/**
 * The protocol that the client wants, where it names one.
 *
 * @param values - The lines of its Upgrade field.
 */
export function onlyProtocol(values: readonly string[]): string {
  const [value = ''] = values;
  if (values.length === 1 && PROTOCOL.test(value)) return value;
  throw new WindhoverError(
    'WH_ERR_UPGRADE_PROTOCOL',
    'The client named not exactly one protocol: set the response header Upgrade to the one that it gets',
  );
}

/** `protocol` of RFC 9110 section 7.8. */
const PROTOCOL = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;
