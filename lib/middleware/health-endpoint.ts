/** What answers probes. Source: ASP.NET Core's HealthCheckMiddleware. */
import { invalidArgument } from '../http/errors.js';
import type { HttpContext } from '../http/http-context.js';
import {
  refuseUnknown,
  requireBoolean,
  requireFunction,
  requireObject,
  requireStrings,
  wrongType,
  wrongValue,
} from '../http/option-errors.js';
import type {
  HealthCheckRegistration,
  HealthChecks,
  HealthReport,
  HealthStatus,
} from './health-checks.js';
import { HEALTH_STATUSES } from './health-checks.js';

/** Writes a report as an answer whose status and headers are set. */
export type HealthResponseWriter = (
  context: HttpContext,
  report: HealthReport,
) => void | Promise<void>;

/** What an endpoint for probes checks, and how it answers. Source: ASP.NET Core's HealthCheckOptions. */
export interface HealthEndpointOptions {
  /** Only checks that have one of these tags. An empty list: no checks, which says that the process answers. */
  readonly tags?: readonly string[];
  /** Which checks run. Default: all, or those of `tags`. */
  readonly predicate?: (registration: HealthCheckRegistration) => boolean;
  /** The status of the answer. Default: healthy 200, degraded 200, unhealthy 503. */
  readonly resultStatusCodes?: Partial<Readonly<Record<HealthStatus, number>>>;
  /**
   * `text`: the status in one word, such as `Healthy`. `json`: the report, without errors. Or what writes
   * the answer. Default `text`.
   */
  readonly responseWriter?: 'text' | 'json' | HealthResponseWriter;
  /** Whether the answer may be cached: without `Cache-Control: no-store, no-cache`. Default false. */
  readonly allowCachingResponses?: boolean;
  /** Answer on this port of the server only, 404 on others: for probes that no client shall see. */
  readonly port?: number;
}

const OPTIONS = new Set([
  'tags',
  'predicate',
  'resultStatusCodes',
  'responseWriter',
  'allowCachingResponses',
  'port',
]);

const PREFIX = 'mapHealthChecks.';

const STATUS_CODES: Readonly<Record<HealthStatus, number>> = {
  healthy: 200,
  degraded: 200,
  unhealthy: 503,
};

const WORDS: Readonly<Record<HealthStatus, string>> = {
  healthy: 'Healthy',
  degraded: 'Degraded',
  unhealthy: 'Unhealthy',
};

/**
 * A handler that runs checks and answers how they are.
 *
 * @throws TypeError WH_ERR_INVALID_ARGUMENT; TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and
 * value.
 */
export function healthEndpoint(
  checks: HealthChecks,
  options: HealthEndpointOptions = {},
): (context: HttpContext) => Promise<void> {
  if (typeof (checks as Partial<HealthChecks> | null)?.check !== 'function') {
    throw invalidArgument('checks', 'HealthChecks', checks);
  }
  requireObject('mapHealthChecks', options);
  refuseUnknown(options, OPTIONS, PREFIX);
  const { allowCachingResponses = false, port } = options;
  requireBoolean(`${PREFIX}allowCachingResponses`, allowCachingResponses);
  const predicate = readPredicate(options);
  const statuses = readStatuses(options.resultStatusCodes ?? {});
  const write = readWriter(options.responseWriter ?? 'text');
  if (port !== undefined) requireInRange(`${PREFIX}port`, port, 1, 65_535);
  return async (context) => {
    const { request, response } = context;
    if (port !== undefined && context.connection.localPort !== port) {
      response.statusCode = 404;
      return;
    }
    const report = await checks.check(predicate, request.aborted);
    if (request.aborted.aborted) return;
    response.statusCode = statuses[report.status];
    if (!allowCachingResponses) {
      response.headers.set('Cache-Control', 'no-store, no-cache');
      response.headers.set('Pragma', 'no-cache');
      response.headers.set('Expires', 'Thu, 01 Jan 1970 00:00:00 GMT');
    }
    await write(context, report);
  };
}

function readPredicate({
  tags,
  predicate,
}: HealthEndpointOptions): NonNullable<HealthEndpointOptions['predicate']> {
  if (predicate !== undefined) requireFunction(`${PREFIX}predicate`, predicate);
  if (tags === undefined) return predicate ?? (() => true);
  requireStrings(`${PREFIX}tags`, tags);
  const wanted = new Set(tags);
  return (registration) =>
    registration.tags.some((tag) => wanted.has(tag)) && (predicate?.(registration) ?? true);
}

function readStatuses(
  given: Partial<Readonly<Record<HealthStatus, number>>>,
): Readonly<Record<HealthStatus, number>> {
  const option = `${PREFIX}resultStatusCodes`;
  requireObject(option, given);
  refuseUnknown(given, new Set(HEALTH_STATUSES), `${option}.`);
  const statuses = { ...STATUS_CODES };
  for (const status of HEALTH_STATUSES) {
    const code = given[status];
    if (code === undefined) continue;
    requireInRange(`${option}.${status}`, code, 200, 599);
    statuses[status] = code;
  }
  return statuses;
}

function requireInRange(name: string, value: number, least: number, most: number): void {
  const expected = `a whole number from ${String(least)} to ${String(most)}`;
  if (typeof value !== 'number') throw wrongType(name, expected, value);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw wrongValue(name, expected, value);
  }
}

function readWriter(
  writer: NonNullable<HealthEndpointOptions['responseWriter']>,
): HealthResponseWriter {
  if (writer === 'text') return writeText;
  if (writer === 'json') return writeJson;
  if (typeof writer === 'function') return writer;
  throw wrongType(`${PREFIX}responseWriter`, "'text', 'json' or a function", writer);
}

function writeText({ response }: HttpContext, report: HealthReport): void | Promise<void> {
  return response.text(WORDS[report.status], 'text/plain');
}

/** Errors are not sent: what a probe may see, others may see too. */
function writeJson({ response }: HttpContext, report: HealthReport): void | Promise<void> {
  const entries = [...report.entries].map(([name, { error: _, ...entry }]) => [name, entry]);
  return response.json({
    status: report.status,
    totalDuration: report.totalDuration,
    entries: Object.fromEntries(entries) as unknown,
  });
}
