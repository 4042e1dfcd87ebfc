/** The head of an answer, as the core takes it: header lines in one text, and what the core adds itself. */
import { Buffer } from 'node:buffer';
import { codedRangeError, codedTypeError } from '../../http/errors.js';
import type { HeaderMap } from '../../http/header-map.js';
import { normalizeHeaderValue } from '../../http/header-map.js';
import { byteLengthOf } from '../../native/command-writer.js';
import { CommandFlag, ContentType } from '../../native/generated/shared-layout.js';

/** The most that a head can have (characters): it has to fit into memory shared with the core. */
export const HEAD_MAX = 131_072;

/** What a reason phrase may not have (RFC 9112 section 4, without obs-text). */
const NOT_IN_REASON = /[^\t\x20-\x7e]/;

/** What composeHead found. */
export interface ComposedHead {
  readonly flags: number;
  /** Header lines with their CRLFs; before them the reason phrase, if the flags say so. */
  readonly text: string;
  /** The declared Content-Length; -1 where there is none. */
  readonly contentLength: number;
}

/** The number of bytes that a body takes; text goes out as UTF-8. */
export function byteLength(data: string | Uint8Array): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : byteLengthOf(data);
}

/** The command flag of a content type that the core has ready; -1 for any other. */
export function contentTypeFlag(contentType: string | undefined): number {
  switch (contentType) {
    case undefined:
      return 0;
    case 'text/plain; charset=utf-8':
      return ContentType.TEXT << CommandFlag.CONTENT_TYPE_SHIFT;
    case 'application/json; charset=utf-8':
      return ContentType.JSON << CommandFlag.CONTENT_TYPE_SHIFT;
    case 'text/html; charset=utf-8':
      return ContentType.HTML << CommandFlag.CONTENT_TYPE_SHIFT;
    case 'application/octet-stream':
      return ContentType.BYTES << CommandFlag.CONTENT_TYPE_SHIFT;
    default:
      return -1;
  }
}

/** @throws RangeError WH_ERR_HEADERS_TOO_LARGE for lines that have no room in the memory shared with the core. */
export function requireSize(lines: string, most: number, what: string): void {
  if (lines.length <= most) return;
  throw codedRangeError(
    'WH_ERR_HEADERS_TOO_LARGE',
    `${what} can have ${String(most)} bytes, not ${String(lines.length)}`,
  );
}

/**
 * Looks at a status that came past HttpResponse, through its feature.
 *
 * @throws RangeError WH_ERR_INVALID_STATUS unless it is an integer of 200 to 599.
 */
export function checkStatus(status: unknown): void {
  if (Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599) return;
  throw codedRangeError(
    'WH_ERR_INVALID_STATUS',
    `The status of an answer must be an integer of 200 to 599, not ${typeof status === 'number' ? String(status) : `a value of type ${typeof status}`}`,
  );
}

/**
 * Composes the head. Framing is the core's: Content-Length goes to it as a number, Connection as a wish to
 * close, and Transfer-Encoding cannot be set.
 *
 * @param contentType - Used where the headers have no Content-Type.
 * @throws TypeError WH_ERR_INVALID_HEADER_NAME for Transfer-Encoding, WH_ERR_INVALID_HEADER_VALUE for a
 * Content-Length that is no number or stands there twice, WH_ERR_INVALID_REASON_PHRASE; RangeError
 * WH_ERR_HEADERS_TOO_LARGE.
 */
export function composeHead(
  headers: HeaderMap | undefined,
  reasonPhrase: string | undefined,
  contentType: string | undefined,
): ComposedHead {
  let flags = 0;
  let contentLength = -1;
  let hasType = false;
  let text = '';
  if (reasonPhrase !== undefined) {
    if (typeof reasonPhrase !== 'string' || NOT_IN_REASON.test(reasonPhrase)) {
      throw codedTypeError(
        'WH_ERR_INVALID_REASON_PHRASE',
        'A reason phrase must be a string of visible ASCII, spaces and TABs',
      );
    }
    flags |= CommandFlag.HAS_REASON;
    text = `${reasonPhrase}\r\n`;
  }
  for (const { name, lower, value } of headers?._lines ?? []) {
    switch (lower) {
      case 'content-length':
        contentLength = parseLength(value, contentLength);
        continue;
      case 'transfer-encoding':
        throw codedTypeError(
          'WH_ERR_INVALID_HEADER_NAME',
          'Transfer-Encoding is set by the server: an answer without Content-Length is chunked',
        );
      case 'connection':
        if (CLOSE.test(value)) flags |= CommandFlag.CLOSE;
        if (withoutPersistence(value) !== '') text += `${name}: ${withoutPersistence(value)}\r\n`;
        continue;
      case 'date':
        flags |= CommandFlag.HAS_DATE;
        break;
      case 'server':
        flags |= CommandFlag.HAS_SERVER;
        break;
      case 'content-type':
        hasType = true;
        break;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (!hasType && contentType !== undefined) {
    const flag = contentTypeFlag(contentType);
    if (flag >= 0) flags |= flag;
    else text += `Content-Type: ${normalizeHeaderValue('Content-Type', contentType)}\r\n`;
  }
  requireSize(text, HEAD_MAX, 'The header fields of an answer');
  return { flags, text, contentLength };
}

/** `close` among the members of Connection. */
const CLOSE = /(?:^|[,\s])close(?:$|[,\s])/i;

/** The other members of Connection: whether the connection stays is told by the core alone. */
export function withoutPersistence(value: string): string {
  return value
    .split(/[,\s]+/)
    .filter((member) => !/^(?:close|keep-alive)?$/i.test(member))
    .join(', ');
}

function parseLength(value: string, before: number): number {
  const length = Number(value);
  if (before < 0 && /^[0-9]+$/.test(value) && Number.isSafeInteger(length)) return length;
  throw codedTypeError(
    'WH_ERR_INVALID_HEADER_VALUE',
    `Content-Length must be one whole number of bytes, not ${JSON.stringify(value)}`,
  );
}
