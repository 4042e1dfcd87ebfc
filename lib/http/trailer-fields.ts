/** Which fields may stand in a trailer section, and trailers that an application sets. */
import { codedTypeError, responseEnded } from './errors.js';
import { HeaderMap } from './header-map.js';

/**
 * Fields that a recipient needs before the body, or that steer framing, routing, authentication or how
 * the content is read. Source: RFC 9110 section 6.5.1, and the hop-by-hop fields of section 7.6.1.
 */
const FORBIDDEN: ReadonlySet<string> = new Set([
  // framing and routing
  'content-length',
  'host',
  'transfer-encoding',
  // the connection
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  // what a request wants to be done
  'cache-control',
  'expect',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'max-forwards',
  'pragma',
  'range',
  // who asks
  'authorization',
  'cookie',
  'proxy-authenticate',
  'proxy-authorization',
  'set-cookie',
  'www-authenticate',
  // what an answer is
  'age',
  'date',
  'expires',
  'location',
  'retry-after',
  'vary',
  'warning',
  // how the content is read
  'content-encoding',
  'content-range',
  'content-type',
]);

/** Whether a field must not stand in a trailer section. */
export function isForbiddenTrailer(name: string): boolean {
  return FORBIDDEN.has(name.toLowerCase());
}

/** The trailer fields of an answer: a HeaderMap that refuses what may not be one, and what comes too late. */
export class TrailerMap extends HeaderMap {
  /** @param isEnded - Whether the answer is ended, so that nothing of it can change. */
  constructor(private readonly isEnded: () => boolean) {
    super();
  }

  override set(name: string, value: string | number | readonly string[]): void {
    this.check(name);
    super.set(name, value);
  }

  override append(name: string, value: string | number): void {
    this.check(name);
    super.append(name, value);
  }

  override delete(name: string): boolean {
    if (this.isEnded()) throw responseEnded();
    return super.delete(name);
  }

  private check(name: unknown): void {
    if (typeof name === 'string' && isForbiddenTrailer(name)) throw forbiddenTrailer(name);
    if (this.isEnded()) throw responseEnded();
  }
}

function forbiddenTrailer(name: string): TypeError {
  return codedTypeError(
    'WH_ERR_FORBIDDEN_TRAILER',
    `${name} cannot be a trailer field (RFC 9110 section 6.5.1)`,
  );
}
