/**
 * The errors of this package. Every one carries a `code`, `WH_ERR_...`, which stays the same from release
 * to release while messages may change: compare codes, never texts.
 */

/** What every error of this package has besides a message. */
export interface CodedError extends Error {
  /** The stable name, such as `WH_ERR_RESPONSE_STARTED`. */
  readonly code: string;
}

/** An error of this package that is neither a wrong type (TypeError) nor a wrong value (RangeError). */
export class WindhoverError extends Error implements CodedError {
  override readonly name: string = 'WindhoverError';

  /**
   * @param code - The stable name, `WH_ERR_...`.
   * @param message - One sentence for a person.
   * @param options - `cause`: the error behind this one.
   */
  constructor(
    readonly code: string,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * The request is at fault, not the application: thrown while it is read, answered with its own status.
 * An application may throw it too. Source: ASP.NET Core's BadHttpRequestException.
 */
export class BadHttpRequestError extends WindhoverError {
  override readonly name: string = 'BadHttpRequestError';

  /**
   * @param statusCode - The status to answer with, 400 to 499; another value counts as 400.
   * @param message - What is wrong with the request. Sent to the client in development only.
   * @param code - The stable name; `WH_ERR_BAD_REQUEST` unless given.
   * @param options - `cause`: the error behind this one.
   */
  constructor(
    readonly statusCode: number,
    message: string,
    code = 'WH_ERR_BAD_REQUEST',
    options?: { readonly cause?: unknown },
  ) {
    super(code, message, options);
    if (!Number.isInteger(statusCode) || statusCode < 400 || statusCode > 499)
      this.statusCode = 400;
  }
}

/** Whether an error is a {@link BadHttpRequestError}, from this copy of the package or another one. */
export function isBadHttpRequestError(error: unknown): error is BadHttpRequestError {
  try {
    if (error instanceof BadHttpRequestError) return true;
    if (!(error instanceof Error) || error.name !== 'BadHttpRequestError') return false;
    const status = (error as { statusCode?: unknown }).statusCode;
    return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 499;
  } catch {
    return false; // Anything can be thrown, also what fails when it is looked at.
  }
}

/** A TypeError with a code. */
export function codedTypeError(
  code: string,
  message: string,
  cause?: unknown,
): TypeError & CodedError {
  const error = new TypeError(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { code });
}

/** A RangeError with a code. */
export function codedRangeError(code: string, message: string): RangeError & CodedError {
  return Object.assign(new RangeError(message), { code });
}

/**
 * The TypeError for an argument of the wrong kind, with code `WH_ERR_INVALID_ARGUMENT`.
 *
 * @param name - The argument, as the caller knows it.
 * @param expected - What it must be, such as `a string`.
 * @param actual - What it was; only its kind is told.
 */
export function invalidArgument(
  name: string,
  expected: string,
  actual: unknown,
): TypeError & CodedError {
  return codedTypeError(
    'WH_ERR_INVALID_ARGUMENT',
    `${name} must be ${expected}, not ${describeKind(actual)}`,
  );
}

/** The error for a use of a request that is over: `WH_ERR_CONTEXT_DISPOSED`. */
export function contextDisposed(): WindhoverError {
  return new WindhoverError(
    'WH_ERR_CONTEXT_DISPOSED',
    'The request is over: its context, request and response can no longer be used',
  );
}

/** The error for a write or an end after the end: `WH_ERR_RESPONSE_ENDED`. */
export function responseEnded(): WindhoverError {
  return new WindhoverError('WH_ERR_RESPONSE_ENDED', 'The answer has been ended already');
}

/** The error for a change of the head of an answer that was sent: `WH_ERR_RESPONSE_STARTED`. */
export function responseStarted(what: string): WindhoverError {
  return new WindhoverError(
    'WH_ERR_RESPONSE_STARTED',
    `${what} cannot be changed: the answer has started`,
  );
}

/** The error for a feature that the server does not provide: `WH_ERR_FEATURE_MISSING`. */
export function featureMissing(name: string): WindhoverError {
  return new WindhoverError('WH_ERR_FEATURE_MISSING', `The server provides no ${name}`);
}

function describeKind(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  const prototype = Object.getPrototypeOf(value) as { constructor?: unknown } | null;
  const constructor = prototype?.constructor;
  return typeof constructor === 'function' && constructor.name !== ''
    ? constructor.name
    : 'an object';
}
