/** Refuses requests for other hosts than those of the application. Source: ASP.NET Core's HostFiltering. */
import type { HttpContext } from '../http/http-context.js';
import type { Middleware } from '../http/middleware.js';
import { refuseUnknown, requireBoolean, requireObject, wrongValue } from '../http/option-errors.js';
import { HostPatterns, parseHost } from './host-names.js';

/** Which hosts a request may be for. Source: ASP.NET Core's HostFilteringOptions. */
export interface HostFilteringOptions {
  /**
   * The hosts: `example.com`, `*.example.com` (names below it, not itself), `192.0.2.1`, `[::1]`, and `*` for
   * all. Ports do not count, nor do cases. Default `['*']`.
   */
  readonly allowedHosts?: readonly string[];
  /** Whether requests without a host, which HTTP/1.0 allows, pass. Default true. */
  readonly allowEmptyHosts?: boolean;
  /** Whether the refusal has a body that says why. Default true. */
  readonly includeFailureMessage?: boolean;
}

const OPTIONS = new Set(['allowedHosts', 'allowEmptyHosts', 'includeFailureMessage']);

const PREFIX = 'hostFiltering.';

const MESSAGE = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Bad Request</title></head>
<body><h1>400 Bad Request</h1><p>This server does not know the host of the request.</p></body>
</html>
`;

/**
 * Middleware that answers 400 to requests for hosts that are not allowed.
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value; also for an empty list.
 */
export function hostFiltering(options: HostFilteringOptions = {}): Middleware {
  requireObject('hostFiltering', options);
  refuseUnknown(options, OPTIONS, PREFIX);
  const { allowedHosts = ['*'], allowEmptyHosts = true, includeFailureMessage = true } = options;
  requireBoolean(`${PREFIX}allowEmptyHosts`, allowEmptyHosts);
  requireBoolean(`${PREFIX}includeFailureMessage`, includeFailureMessage);
  const patterns = new HostPatterns(`${PREFIX}allowedHosts`, allowedHosts);
  if (allowedHosts.length === 0) {
    throw wrongValue(`${PREFIX}allowedHosts`, 'a list with at least one host', []);
  }
  return (context, next) => {
    const { host } = context.request;
    if (host === '' ? allowEmptyHosts : isAllowed(host, patterns)) return next();
    return refuse(context, includeFailureMessage);
  };
}

function isAllowed(host: string, patterns: HostPatterns): boolean {
  if (patterns.matchesAll) return true;
  const parts = parseHost(host);
  return parts !== undefined && patterns.matches(parts.host);
}

function refuse({ response }: HttpContext, hasMessage: boolean): void | Promise<void> {
  response.statusCode = 400;
  if (hasMessage) return response.text(MESSAGE, 'text/html; charset=utf-8');
  return undefined;
}
