/**
 * Limits of time by name and by route, over the server's own deadlines. Source: ASP.NET Core's
 * RequestTimeouts.
 */
import { HttpRequestTimeoutFeature } from '../features/http-features.js';
import { invalidArgument, WindhoverError } from '../http/errors.js';
import type { HttpContext } from '../http/http-context.js';
import type { Middleware } from '../http/middleware.js';
import {
  refuseUnknown,
  requireFunction,
  requireObject,
  wrongType,
  wrongValue,
} from '../http/option-errors.js';

/** A limit, and what is answered when it is over. Source: ASP.NET Core's RequestTimeoutPolicy. */
export interface RequestTimeoutPolicy {
  /** From the moment when the policy takes effect (ms); `null` for no limit. */
  readonly timeout: number | null;
  /** The status that is answered. Default 504. */
  readonly timeoutStatusCode?: number;
  /**
   * Writes the answer: headers and body; the status is set, headers that the handler had set are gone. It
   * must answer at once: what is not done in this turn of the loop is cut off.
   */
  readonly writeTimeoutResponse?: (context: HttpContext) => void | Promise<void>;
}

/** A policy, or only its limit (ms, `null` for none). */
export type RequestTimeout = RequestTimeoutPolicy | number | null;

/** Source: ASP.NET Core's RequestTimeoutOptions. */
export interface RequestTimeoutsOptions {
  /** What holds for requests whose handler says nothing. Default: the server's `limits.requestTimeout`. */
  readonly defaultPolicy?: RequestTimeout;
  /** Policies by name, for {@link withRequestTimeout}. */
  readonly policies?: Readonly<Record<string, RequestTimeout>>;
}

type Handler = (context: HttpContext) => void | Promise<void>;

const OPTIONS = new Set(['defaultPolicy', 'policies']);
const POLICY_OPTIONS = new Set(['timeout', 'timeoutStatusCode', 'writeTimeoutResponse']);

const PREFIX = 'requestTimeouts.';

/** The longest time that Node's timers can wait (ms). */
const TIMEOUT_MAX = 2_147_483_647;

/** Under which the middleware leaves its policies in `context.items`. */
const POLICIES = Symbol.for('windhover.requestTimeoutPolicies');

/** What is answered to requests whose policy has an answer of its own. */
const answers = new WeakMap<HttpContext, RequestTimeoutPolicy>();

/**
 * Middleware that gives every request a limit of time, and knows policies by name. After the limit
 * `requestAborted` aborts with WH_ERR_REQUEST_TIMEOUT, and the policy's answer is given, unless the answer
 * has started, which then is cut off. It has no effect on a server without HttpRequestTimeoutFeature.
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value.
 */
export function requestTimeouts(options: RequestTimeoutsOptions = {}): Middleware {
  requireObject('requestTimeouts', options);
  refuseUnknown(options, OPTIONS, PREFIX);
  const { defaultPolicy, policies = {} } = options;
  requireObject(`${PREFIX}policies`, policies);
  const standard =
    defaultPolicy === undefined ? undefined : readPolicy(`${PREFIX}defaultPolicy`, defaultPolicy);
  const byName = new Map(
    Object.entries(policies).map(([name, policy]) => [
      name,
      readPolicy(`${PREFIX}policies.${name}`, policy),
    ]),
  );
  return (context, next) => {
    if (byName.size > 0) context.items.set(POLICIES, byName);
    if (standard !== undefined) enforce(context, standard);
    return next();
  };
}

/**
 * Gives a handler, such as that of a route, a limit of time, in place of the one that holds otherwise.
 * Source: ASP.NET Core's WithRequestTimeout and DisableRequestTimeout.
 *
 * @param policy - The name of a policy, a policy, a limit (ms, from the call of the handler), or `null` for
 * no limit.
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value; when a request comes,
 * WindhoverError WH_ERR_UNKNOWN_POLICY where {@link requestTimeouts} knows no policy of that name.
 */
export function withRequestTimeout(policy: RequestTimeout | string, handler: Handler): Handler {
  if (typeof handler !== 'function') throw invalidArgument('handler', 'a function', handler);
  if (typeof policy !== 'string') {
    const own = readPolicy('withRequestTimeout', policy);
    return (context) => {
      enforce(context, own);
      return handler(context);
    };
  }
  return (context) => {
    const policies = context.items.get(POLICIES) as
      ReadonlyMap<string, RequestTimeoutPolicy> | undefined;
    const named = policies?.get(policy);
    if (named === undefined) {
      const known = [...(policies?.keys() ?? [])].join(', ');
      throw new WindhoverError(
        'WH_ERR_UNKNOWN_POLICY',
        `There is no request timeout policy '${policy}'; there are: ${known === '' ? 'none' : known}`,
      );
    }
    enforce(context, named);
    return handler(context);
  };
}

function readPolicy(name: string, given: RequestTimeout): RequestTimeoutPolicy {
  if (given === null || typeof given === 'number') {
    requireTime(name, given);
    return { timeout: given };
  }
  requireObject(name, given);
  refuseUnknown(given, POLICY_OPTIONS, `${name}.`);
  const { timeout, timeoutStatusCode, writeTimeoutResponse } = given;
  requireTime(`${name}.timeout`, timeout);
  if (timeoutStatusCode !== undefined)
    requireStatus(`${name}.timeoutStatusCode`, timeoutStatusCode);
  if (writeTimeoutResponse !== undefined) {
    requireFunction(`${name}.writeTimeoutResponse`, writeTimeoutResponse);
  }
  return { ...given };
}

function requireTime(name: string, time: number | null): void {
  const expected = `a number of milliseconds from 1 to ${String(TIMEOUT_MAX)}, or null`;
  if (time === null) return;
  if (typeof time !== 'number') throw wrongType(name, expected, time);
  if (!(time >= 1 && time <= TIMEOUT_MAX)) throw wrongValue(name, expected, time);
}

function requireStatus(name: string, status: number): void {
  const expected = 'a whole number from 200 to 599';
  if (typeof status !== 'number') throw wrongType(name, expected, status);
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw wrongValue(name, expected, status);
  }
}

function enforce(context: HttpContext, policy: RequestTimeoutPolicy): void {
  const feature = context.features.get(HttpRequestTimeoutFeature);
  if (feature === undefined) return;
  feature.setTimeout(policy.timeout);
  const hasAnswer =
    policy.timeoutStatusCode !== undefined || policy.writeTimeoutResponse !== undefined;
  if (!hasAnswer) {
    answers.delete(context);
    return;
  }
  const isFirst = !answers.has(context);
  answers.set(context, policy);
  if (!isFirst) return;
  const { requestAborted } = context;
  requestAborted.addEventListener(
    'abort',
    () => {
      const { code } = requestAborted.reason as { code?: unknown };
      if (code === 'WH_ERR_REQUEST_TIMEOUT') answer(context);
    },
    { once: true },
  );
}

/** Answers for a handler that did not. Runs in a listener, which nothing may leave but by return. */
function answer(context: HttpContext): void {
  const policy = answers.get(context);
  if (policy === undefined) return;
  try {
    const { response } = context;
    if (response.hasStarted) return;
    const names = [...response.headers].map(([name]) => name);
    for (const name of names) response.headers.delete(name);
    response.statusCode = policy.timeoutStatusCode ?? 504;
    const written = policy.writeTimeoutResponse?.(context);
    if (written === undefined) {
      if (!response.hasStarted) void response.end();
    } else Promise.resolve(written).catch(tellFailure);
  } catch (error) {
    tellFailure(error);
  }
}

function tellFailure(error: unknown): void {
  process.emitWarning(`writeTimeoutResponse of a request timeout policy failed: ${String(error)}`, {
    code: 'WH_WARN_TIMEOUT_ANSWER_FAILED',
  });
}
