/** Named checks of what an application needs, run together. Source: ASP.NET Core's HealthChecks. */
import { codedTypeError, invalidArgument } from '../http/errors.js';
import {
  CODE,
  refuseUnknown,
  requireFunction,
  requireObject,
  requireString,
  requireStrings,
  wrongType,
  wrongValue,
} from '../http/option-errors.js';

/** How something is: it works, it works less well than it should, it does not work. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';

/** From the best to the worst. */
export const HEALTH_STATUSES = [
  'healthy',
  'degraded',
  'unhealthy',
] as const satisfies readonly HealthStatus[];

/** What a check has found. */
export interface HealthCheckResult {
  readonly status: HealthStatus;
  /** One sentence for a person. */
  readonly description?: string;
  /** Whatever else is worth telling; sent as JSON by the JSON writer. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** The error behind it. Sent to nobody. */
  readonly error?: unknown;
}

/** What a check is given. */
export interface HealthCheckContext {
  readonly name: string;
  readonly tags: readonly string[];
  /** Aborts when the check's time is over, or nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/**
 * Looks at one thing. Returns how it is, or a promise of it; nothing and `true` stand for `healthy`, `false`
 * for the check's failure status, which is also that of a check that throws or takes too long.
 */
export type HealthCheck = (
  context: HealthCheckContext,
) => HealthCheckAnswer | Promise<HealthCheckAnswer>;

/** What a check may answer. */
// A check that only may fail returns nothing.

export type HealthCheckAnswer = HealthCheckResult | HealthStatus | boolean | undefined | void;

/** How a check is treated. Source: ASP.NET Core's HealthCheckRegistration. */
export interface HealthCheckOptions {
  /** By which endpoints choose their checks, such as `ready`. Default: none. */
  readonly tags?: readonly string[];
  /** What a failure means: `degraded` or `unhealthy`. Default `unhealthy`. */
  readonly failureStatus?: HealthStatus;
  /** How long the check may take (ms); `null` for no limit. Default 30,000. */
  readonly timeout?: number | null;
}

/** What one check has found. */
export interface HealthReportEntry extends HealthCheckResult {
  /** How long it took (ms). */
  readonly duration: number;
  readonly tags: readonly string[];
}

/** What all checks have found. */
export interface HealthReport {
  /** The worst of the entries' statuses; `healthy` where there are none. */
  readonly status: HealthStatus;
  /** How long it took (ms). */
  readonly totalDuration: number;
  /** By the checks' names, in the order in which they were added. */
  readonly entries: ReadonlyMap<string, HealthReportEntry>;
}

/** A check as it was added. */
export interface HealthCheckRegistration {
  readonly name: string;
  readonly tags: readonly string[];
  readonly failureStatus: HealthStatus;
  readonly timeout: number | null;
}

interface Registration extends HealthCheckRegistration {
  readonly check: HealthCheck;
}

const OPTIONS = new Set(['tags', 'failureStatus', 'timeout']);

/** Source: ASP.NET Core's HealthCheckPublisherOptions.Timeout; its checks have no limit of their own. */
const TIMEOUT = 30_000;

/** The longest time that Node's timers can wait (ms). */
const TIMEOUT_MAX = 2_147_483_647;

/** The checks of an application. */
export class HealthChecks {
  private readonly registrations = new Map<string, Registration>();

  /**
   * Adds a check. It may be added at any time.
   *
   * @param name - For reports; each has one of its own.
   * @throws TypeError WH_ERR_INVALID_ARGUMENT; TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and
   * value, also where there is a check of that name.
   */
  add(name: string, check: HealthCheck, options: HealthCheckOptions = {}): this {
    if (typeof name !== 'string' || name === '') {
      throw invalidArgument('The name of a health check', 'a text', name);
    }
    const prefix = `healthChecks.${name}`;
    requireFunction(prefix, check);
    requireObject(prefix, options);
    refuseUnknown(options, OPTIONS, `${prefix}.`);
    const { tags = [], failureStatus = 'unhealthy', timeout = TIMEOUT } = options;
    requireStrings(`${prefix}.tags`, tags);
    requireStatus(`${prefix}.failureStatus`, failureStatus);
    requireTimeout(`${prefix}.timeout`, timeout);
    if (this.registrations.has(name)) {
      throw codedTypeError(CODE, `there is a health check '${name}' already`);
    }
    this.registrations.set(name, { name, check, tags: [...tags], failureStatus, timeout });
    return this;
  }

  /**
   * Runs the checks side by side, and waits for all of them.
   *
   * @param predicate - Which ones. Default: all.
   * @param signal - Gives them up: what has not answered then has failed.
   * @returns Rejects with nothing but what the predicate throws.
   */
  async check(
    predicate: (registration: HealthCheckRegistration) => boolean = () => true,
    signal?: AbortSignal,
  ): Promise<HealthReport> {
    const start = performance.now();
    const chosen = [...this.registrations.values()].filter(predicate);
    const entries = await Promise.all(
      chosen.map(async (registration) => {
        return [registration.name, await runCheck(registration, signal)] as const;
      }),
    );
    const worst = Math.max(0, ...entries.map(([, entry]) => HEALTH_STATUSES.indexOf(entry.status)));
    return {
      status: HEALTH_STATUSES[worst],
      totalDuration: performance.now() - start,
      entries: new Map(entries),
    };
  }
}

export function requireStatus(name: string, status: HealthStatus): void {
  const expected = HEALTH_STATUSES.map((known) => `'${known}'`).join(', ');
  requireString(name, status);
  if (!HEALTH_STATUSES.includes(status)) throw wrongValue(name, `one of ${expected}`, status);
}

function requireTimeout(name: string, timeout: number | null): void {
  const expected = `a number of milliseconds from 1 to ${String(TIMEOUT_MAX)}, or null`;
  if (timeout === null) return;
  if (typeof timeout !== 'number') throw wrongType(name, expected, timeout);
  if (!(timeout >= 1 && timeout <= TIMEOUT_MAX)) throw wrongValue(name, expected, timeout);
}

async function runCheck(
  { name, tags, failureStatus, timeout, check }: Registration,
  outer: AbortSignal | undefined,
): Promise<HealthReportEntry> {
  const start = performance.now();
  const controller = new AbortController();
  const { signal } = controller;
  let timer: NodeJS.Timeout | undefined;
  let giveUp = (_reason: string): void => undefined;
  const givenUp = new Promise<HealthCheckResult>((resolve) => {
    giveUp = (description) => {
      resolve({ status: failureStatus, description });
      controller.abort();
    };
  });
  const onAbort = (): void => {
    giveUp('The check was given up');
  };
  let result: HealthCheckResult;
  try {
    outer?.addEventListener('abort', onAbort);
    if (outer?.aborted === true) onAbort();
    if (timeout !== null) {
      timer = setTimeout(() => {
        giveUp(`The check has taken longer than ${String(timeout)} ms`);
      }, timeout);
    }
    const answer = await Promise.race([givenUp, call(check, { name, tags, signal })]);
    result = resultOf(answer, failureStatus);
  } catch (error) {
    result = { status: failureStatus, error };
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', onAbort);
  }
  return { ...result, duration: performance.now() - start, tags };
}

/** A check that throws before its first await fails as one that rejects. */
async function call(check: HealthCheck, context: HealthCheckContext): Promise<HealthCheckAnswer> {
  return check(context);
}

function resultOf(answer: HealthCheckAnswer, failureStatus: HealthStatus): HealthCheckResult {
  if (answer === undefined || answer === true) return { status: 'healthy' };
  if (answer === false) return { status: failureStatus };
  const result = typeof answer === 'string' ? { status: answer } : answer;
  // What is neither is a mistake of the check, and told as its failure.
  if (!HEALTH_STATUSES.includes((result as HealthCheckResult | null)?.status as HealthStatus)) {
    throw invalidArgument('The answer of a health check', 'a status or a result', answer);
  }
  const { status, description, data, error } = result;
  return {
    status,
    ...(description === undefined ? {} : { description }),
    ...(data === undefined ? {} : { data }),
    ...(error === undefined ? {} : { error }),
  };
}
