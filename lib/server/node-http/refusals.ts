/** Requests that a server on node:http refuses by itself: why, and how they are answered. */
import { Buffer } from 'node:buffer';
import { reasonPhrases } from '../../native/generated/status.js';
import type { ServerOptions } from '../options.js';
import { toRefusalAnswers } from '../windhover/refusals.js';

/** The reasons, named and numbered as the core's (native/core/http/refusal.h) as far as Node tells them apart. */
const REASONS = {
  invalidRequestLine: [400, 'The request line is not valid.'],
  methodForTarget: [405, 'The method does not fit the form of the target.'],
  unrecognizedHttpVersion: [505, 'This server speaks HTTP/1.0 and HTTP/1.1 here.'],
  requestLineTooLong: [414, 'The request line is too long.'],
  invalidRequestHeader: [400, 'A header field is not valid.'],
  headersExceedMaxTotalSize: [431, 'The header fields are too large.'],
  tooManyHeaders: [431, 'There are too many header fields.'],
  invalidHost: [400, 'Host is missing, repeated, not valid, or not that of the target.'],
  expectationFailed: [417, 'Only 100-continue can be expected.'],
  invalidChunk: [400, 'The chunked body is not valid.'],
  requestBodyTooLarge: [413, "The request's body is too large."],
  requestHeadersTimeout: [408, "The request's head did not come in time."],
  connectNotAccepted: [405, 'This server makes no tunnel there.'],
} as const satisfies Record<string, readonly [status: number, detail: string]>;

export type RefusalReason = keyof typeof REASONS;

/** How a request is answered that is refused. */
export interface NodeRefusal {
  readonly status: number;
  /** Names and values. */
  readonly lines: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export type RefusalAnswers = Readonly<Record<RefusalReason, NodeRefusal>>;

/** The answers. Throws as {@link toRefusalAnswers}. */
export function toNodeRefusals(option: ServerOptions['refusals']): RefusalAnswers {
  const reasons = Object.keys(REASONS) as RefusalReason[];
  const rows = reasons.map((reason, number) => {
    const [status, detail] = REASONS[reason];
    return { number, reason, status, detail };
  });
  const made = new Map(toRefusalAnswers(option, rows).map((answer) => [answer.number, answer]));
  const answers = rows.map(({ number, reason, status }) => {
    const { head = '', body = '' } = made.get(number) ?? {};
    const lines = head.split('\r\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]];
    });
    return [reason, { status, lines, body }] as const;
  });
  return Object.fromEntries(answers) as unknown as RefusalAnswers;
}

/** The reason behind an error of Node's parser (llhttp's names). */
export function reasonOfParserError(code: string | undefined): RefusalReason {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'headersExceedMaxTotalSize';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'requestHeadersTimeout';
    case 'HPE_INVALID_CHUNK_SIZE':
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'invalidChunk';
    case 'HPE_INVALID_METHOD':
    case 'HPE_INVALID_URL':
    case 'HPE_INVALID_VERSION':
    case 'HPE_INVALID_CONSTANT':
      return 'invalidRequestLine';
    default:
      return 'invalidRequestHeader';
  }
}

/** A refusal as the bytes of an answer of HTTP/1.1 that ends its connection. */
export function composeRefusal({ status, lines, body }: NodeRefusal): string {
  const fields = [
    ...lines,
    ['Content-Length', String(Buffer.byteLength(body))],
    ['Date', new Date().toUTCString()],
    ['Connection', 'close'],
  ];
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `HTTP/1.1 ${String(status)} ${reasonPhrases[status] ?? ''}\r\n${head}\r\n${body}`;
}
