/** Interim (1xx) answers: what they may be. */
import { codedRangeError, codedTypeError, invalidArgument } from '../../http/errors.js';
import type { InformationalHeaders } from '../../features/http-features.js';
import { HeaderMap } from '../../http/header-map.js';
import { requireSize } from './response-head.js';

/** Fields about a body, or about the connection, that no interim answer has (RFC 9110 section 15.2). */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The most that the fields can have (characters). */
const FIELDS_MAX = 65_536;

/** @throws RangeError WH_ERR_INVALID_STATUS unless it is an integer of 100 to 199, and not 101. */
export function checkInformationalStatus(status: unknown): void {
  if (Number.isInteger(status) && status !== 101) {
    if ((status as number) >= 100 && (status as number) <= 199) return;
  }
  throw codedRangeError(
    'WH_ERR_INVALID_STATUS',
    `The status of an informational answer must be 100 or an integer of 102 to 199, not ${typeof status === 'number' ? String(status) : `a value of type ${typeof status}`}`,
  );
}

/**
 * The field lines of an interim answer.
 *
 * @throws TypeError WH_ERR_INVALID_ARGUMENT, WH_ERR_INVALID_HEADER_NAME (also for a field that no interim
 * answer has), WH_ERR_INVALID_HEADER_VALUE; RangeError WH_ERR_HEADERS_TOO_LARGE.
 */
export function composeInformational(headers: InformationalHeaders | undefined): string {
  return headers === undefined ? '' : informationalFields(headers).serialize();
}

/** The same as fields. Throws as {@link composeInformational}. */
export function informationalFields(headers: InformationalHeaders): HeaderMap {
  if (typeof headers !== 'object' || (headers as unknown) === null) {
    throw invalidArgument('The headers of an informational answer', 'an object', headers);
  }
  const map = new HeaderMap();
  if (Symbol.iterator in headers) {
    for (const line of headers) {
      if (!Array.isArray(line)) throw invalidArgument('A header', 'a name and a value', line);
      map.append(line[0], line[1]);
    }
  } else {
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) map.set(name, value);
    }
  }
  for (const { name, lower } of map._lines) {
    if (!FORBIDDEN.has(lower)) continue;
    throw codedTypeError(
      'WH_ERR_INVALID_HEADER_NAME',
      `An informational answer cannot have ${name}`,
    );
  }
  requireSize(map.serialize(), FIELDS_MAX, 'The fields of an informational answer');
  return map;
}
