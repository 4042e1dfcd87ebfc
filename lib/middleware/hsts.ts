/** Strict-Transport-Security (RFC 6797). Source: ASP.NET Core's HstsMiddleware. */
import type { Middleware } from '../http/middleware.js';
import {
  refuseUnknown,
  requireBoolean,
  requireObject,
  wrongType,
  wrongValue,
} from '../http/option-errors.js';
import { HostPatterns, parseHost } from './host-names.js';

/** What browsers are told. Source: ASP.NET Core's HstsOptions. */
export interface HstsOptions {
  /** How long a browser shall use nothing but https for the host (ms, sent as seconds). Default 30 days. */
  readonly maxAge?: number;
  /** Whether that holds for all names below the host. Default false. */
  readonly includeSubDomains?: boolean;
  /** Whether browsers may have the host in the lists that they come with. Default false. */
  readonly preload?: boolean;
  /** Hosts that get no such field. Default `localhost`, `127.0.0.1` and `[::1]`. */
  readonly excludedHosts?: readonly string[];
}

const OPTIONS = new Set(['maxAge', 'includeSubDomains', 'preload', 'excludedHosts']);

const PREFIX = 'hsts.';

/** 30 days (ms). */
const MAX_AGE = 2_592_000_000;

/**
 * Middleware that sends Strict-Transport-Security on answers to https requests.
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value.
 */
export function hsts(options: HstsOptions = {}): Middleware {
  requireObject('hsts', options);
  refuseUnknown(options, OPTIONS, PREFIX);
  const {
    maxAge = MAX_AGE,
    includeSubDomains = false,
    preload = false,
    excludedHosts = ['localhost', '127.0.0.1', '[::1]'],
  } = options;
  requireBoolean(`${PREFIX}includeSubDomains`, includeSubDomains);
  requireBoolean(`${PREFIX}preload`, preload);
  const seconds = secondsOf(maxAge);
  const excluded = new HostPatterns(`${PREFIX}excludedHosts`, excludedHosts);
  const value = `max-age=${String(seconds)}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
  return ({ request, response }, next) => {
    if (request.isHttps) {
      const host = parseHost(request.host)?.host;
      // An answer without a host to hold it for says nothing (RFC 6797 section 8.1).
      if (host !== undefined && !excluded.matches(host)) {
        response.headers.set('Strict-Transport-Security', value);
      }
    }
    return next();
  };
}

function secondsOf(maxAge: number): number {
  const expected = 'a number of milliseconds from 0';
  if (typeof maxAge !== 'number') throw wrongType(`${PREFIX}maxAge`, expected, maxAge);
  if (!Number.isFinite(maxAge) || maxAge < 0) {
    throw wrongValue(`${PREFIX}maxAge`, expected, maxAge);
  }
  return Math.floor(maxAge / 1000);
}
