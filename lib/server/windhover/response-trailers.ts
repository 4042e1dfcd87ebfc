/** The trailer fields of an answer. */
import type { HttpResponseTrailersFeature } from '../../features/http-features.js';
import { TrailerMap } from '../../http/trailer-fields.js';
import { HeaderId } from '../../native/generated/header-names.js';
import { RequestFlag } from '../../native/generated/shared-layout.js';
import type { Slot } from '../../native/slot.js';
import { requireSize } from './response-head.js';

/** The most that a trailer section can have (characters): it has to fit into memory shared with the core. */
const SECTION_MAX = 65_536;

/** `trailers` among the members of TE (RFC 9110 section 10.1.4). */
export const TRAILERS = /(?:^|,)[ \t]*trailers[ \t]*(?:$|,)/i;

export class ResponseTrailers implements HttpResponseTrailersFeature {
  readonly trailers: TrailerMap;

  /** @param isEnded - Whether the answer is ended. */
  constructor(isEnded: () => boolean) {
    this.trailers = new TrailerMap(isEnded);
  }

  /** Whether there is something to send, and the client wants it: RFC 9110 section 6.5.1. */
  areWanted(slot: Slot): boolean {
    return this.trailers.size > 0 && acceptsTrailers(slot);
  }

  /**
   * The line that announces them in the head; `''` where the application has its own, and on HTTP/2, where
   * trailers need no announcement: gRPC's clients take every field of the head for metadata.
   */
  announcement(slot: Slot, headers: { has(name: string): boolean } | undefined): string {
    if (slot.isHttp2() || headers?.has('Trailer') === true) return '';
    const names = new Set([...this.trailers].map(([name]) => name));
    return `Trailer: ${[...names].join(', ')}\r\n`;
  }

  /**
   * The field lines, each with its CRLF.
   *
   * @throws RangeError WH_ERR_HEADERS_TOO_LARGE.
   */
  compose(): string {
    const text = this.trailers.serialize();
    requireSize(text, SECTION_MAX, 'The trailer fields of an answer');
    return text;
  }
}

function acceptsTrailers(slot: Slot): boolean {
  if ((slot.flags() & RequestFlag.HEAD_METHOD) !== 0) return false;
  if (slot.isHttp2()) return true; // a trailer section has a frame of its own, which no recipient mistakes
  if (slot.protocol() !== 'HTTP/1.1') return false;
  for (let i = slot.findKnown(HeaderId.Te, 0); i >= 0; i = slot.findKnown(HeaderId.Te, i + 1)) {
    if (TRAILERS.test(slot.fieldValue(i))) return true;
  }
  return false;
}
