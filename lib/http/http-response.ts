/** The answer of a context: its head, and the ways to send a body. */
import { Buffer } from 'node:buffer';
import type { PathLike } from 'node:fs';
import type { FeatureCollection } from '../features/feature-collection.js';
import type { HeaderDictionary } from '../features/header-dictionary.js';
import type { InformationalHeaders, ResponseCallback } from '../features/http-features.js';
import {
  HttpInformationalResponseFeature,
  HttpResponseBodyFeature,
  HttpResponseFeature,
  HttpResponseTrailersFeature,
} from '../features/http-features.js';
import { codedRangeError, codedTypeError, invalidArgument, responseStarted } from './errors.js';
import { sendFileByParts } from './send-file.js';
import { DISPOSED_FEATURES, requireFeature } from './feature-access.js';
import { normalizeHeaderValue } from './header-map.js';

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const BYTES = 'application/octet-stream';

/** The final statuses that an application may give. 1xx are interim answers, above 599 nothing is defined. */
const STATUS_MIN = 200;
const STATUS_MAX = 599;

/** 1*DIGIT of RFC 9110 section 8.6. */
const DIGITS = /^[0-9]+$/;

/** What a reason phrase may not have (RFC 9112 section 4, without obs-text). */
const NOT_IN_REASON = /[^\t\x20-\x7e]/;

/** What a Location must have percent-encoded: anything but visible ASCII. Line ends stay, to be refused. */
const NOT_IN_LOCATION = /[^\x21-\x7e\r\n]+/g;

/** The statuses that send a client elsewhere (RFC 9110 section 15.4). */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * The answer. Nothing is sent before the first byte of the body, or the end of the handler. Every member
 * throws WH_ERR_CONTEXT_DISPOSED once the request is over.
 *
 * The methods that send return a promise only where there is something to wait for (the client takes the
 * bytes more slowly than they come); otherwise `undefined`.
 */
export class HttpResponse {
  private features: FeatureCollection;
  private revision: number;
  private headFeature: HttpResponseFeature | undefined = undefined;
  private bodyFeature: HttpResponseBodyFeature | undefined = undefined;

  /** @internal Whether the whole answer was handed over through this object. */
  _ended = false;

  /** @internal */
  constructor(features: FeatureCollection) {
    this.features = features;
    this.revision = features.revision;
  }

  /** The status; 200 until set. */
  get statusCode(): number {
    return this.head().statusCode;
  }

  /**
   * @throws RangeError WH_ERR_INVALID_STATUS unless it is an integer of 200 to 599; WindhoverError
   * WH_ERR_RESPONSE_STARTED once the answer has started.
   */
  set statusCode(value: number) {
    const head = this.head();
    if (!Number.isInteger(value) || value < STATUS_MIN || value > STATUS_MAX) {
      throw codedRangeError(
        'WH_ERR_INVALID_STATUS',
        `response.statusCode must be an integer of ${String(STATUS_MIN)} to ${String(STATUS_MAX)}, not ${String(value)}`,
      );
    }
    if (head.hasStarted) throw responseStarted('The status');
    head.statusCode = value;
  }

  /** The reason phrase of HTTP/1.1; `undefined` means the registered one. */
  get reasonPhrase(): string | undefined {
    return this.head().reasonPhrase;
  }

  /**
   * @throws TypeError WH_ERR_INVALID_REASON_PHRASE where it has anything but visible ASCII, space and TAB;
   * WindhoverError WH_ERR_RESPONSE_STARTED once the answer has started.
   */
  set reasonPhrase(value: string | undefined) {
    const head = this.head();
    if (value !== undefined && (typeof value !== 'string' || NOT_IN_REASON.test(value))) {
      throw codedTypeError(
        'WH_ERR_INVALID_REASON_PHRASE',
        'response.reasonPhrase must be a string of visible ASCII, spaces and TABs',
      );
    }
    if (head.hasStarted) throw responseStarted('The reason phrase');
    head.reasonPhrase = value;
  }

  /** The header fields; changing them throws WH_ERR_RESPONSE_STARTED once the answer has started. */
  get headers(): HeaderDictionary {
    return this.head().headers;
  }

  /** Whether the head has been handed over, and can no longer change. */
  get hasStarted(): boolean {
    return this.head().hasStarted;
  }

  /**
   * The trailer fields, sent behind the body; they can be set until the answer is ended. On HTTP/2 they go
   * out with every answer that can have a body, and without an announcement. On HTTP/1.1 they
   * go out where the client wants them (`TE: trailers`) and the answer is chunked, which an answer with
   * trailers set before its start becomes unless it has a Content-Length; otherwise they are dropped in
   * silence (RFC 9110 section 6.5.1). Those set before the start are announced in `Trailer`.
   *
   * Setting throws TypeError WH_ERR_FORBIDDEN_TRAILER for a field that cannot be one, and what
   * {@link headers} throws.
   *
   * @throws WindhoverError WH_ERR_FEATURE_MISSING where the server sends none.
   */
  get trailers(): HeaderDictionary {
    return requireFeature(this.features, HttpResponseTrailersFeature).trailers;
  }

  /** The Content-Type field; `undefined` where there is none, and assigned to remove it. */
  get contentType(): string | undefined {
    return this.head().headers.get('Content-Type');
  }

  set contentType(value: string | undefined) {
    const headers = this.head().headers;
    if (value === undefined) headers.delete('Content-Type');
    else headers.set('Content-Type', value);
  }

  /** The Content-Length field (bytes); `undefined` where there is none, and assigned to remove it. */
  get contentLength(): number | undefined {
    const text = this.head().headers.get('Content-Length');
    return text !== undefined && DIGITS.test(text) ? Number(text) : undefined;
  }

  /** @throws RangeError WH_ERR_INVALID_CONTENT_LENGTH unless it is a safe integer of 0 or more. */
  set contentLength(value: number | undefined) {
    const headers = this.head().headers;
    if (value === undefined) {
      headers.delete('Content-Length');
      return;
    }
    if (!Number.isSafeInteger(value) || value < 0) {
      throw codedRangeError(
        'WH_ERR_INVALID_CONTENT_LENGTH',
        `response.contentLength must be a whole number of bytes, not ${String(value)}`,
      );
    }
    headers.set('Content-Length', value);
  }

  /**
   * Answers with a text, as UTF-8, and ends the answer.
   *
   * @param body - The text.
   * @param contentType - The Content-Type; without it the one set before stays, or
   * `text/plain; charset=utf-8` is set.
   * @throws TypeError WH_ERR_INVALID_ARGUMENT, WH_ERR_INVALID_HEADER_VALUE; WindhoverError
   * WH_ERR_RESPONSE_STARTED, WH_ERR_RESPONSE_ENDED.
   */
  text(body: string, contentType?: string): void | Promise<void> {
    if (typeof body !== 'string')
      throw invalidArgument('The body of response.text', 'a string', body);
    return this.sendWhole(body, contentType, TEXT);
  }

  /**
   * Answers with a value as JSON, and ends the answer. The Content-Type set before stays, otherwise it is
   * `application/json; charset=utf-8`.
   *
   * @param value - What JSON.stringify takes.
   * @throws TypeError WH_ERR_NOT_SERIALIZABLE where there is no JSON for it (undefined, a function, a
   * cycle, a BigInt); WindhoverError as {@link text}.
   */
  json(value: unknown): void | Promise<void> {
    return this.sendWhole(stringify(value), undefined, JSON_TYPE);
  }

  /**
   * Answers with bytes, and ends the answer.
   *
   * @param body - The bytes. They must stay unchanged until the answer has been sent.
   * @param contentType - The Content-Type; without it the one set before stays, or
   * `application/octet-stream` is set.
   * @throws As {@link text}.
   */
  bytes(body: Uint8Array, contentType?: string): void | Promise<void> {
    if (!(body instanceof Uint8Array)) {
      throw invalidArgument('The body of response.bytes', 'a Uint8Array', body);
    }
    return this.sendWhole(body, contentType, BYTES);
  }

  /**
   * Sends a piece of the body, and the head before it if that was not sent.
   *
   * @param data - Bytes, or a text to send as UTF-8.
   * @returns A promise that settles when there is room for more; `undefined` where there is room now.
   * @throws TypeError WH_ERR_INVALID_ARGUMENT; WindhoverError WH_ERR_RESPONSE_ENDED.
   */
  write(data: Uint8Array | string): void | Promise<void> {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
      throw invalidArgument('The data of response.write', 'a string or a Uint8Array', data);
    }
    return this.body().write(data);
  }

  /**
   * Sends a file, or a part of it, as body. The system takes it from its cache straight to the client
   * where the server can order that (sendfile(2)). Where nothing was sent before and no Content-Length
   * is set, the file is the body and its length becomes the Content-Length; to send more, set
   * {@link contentLength} to the length of all of it, or {@link write} first. The Content-Type is left to
   * the caller. Does not end the answer. On a WindhoverServer what is written meanwhile follows the file,
   * and so does the end of the answer; on other servers wait for the promise first.
   *
   * Source: Kestrel's IHttpResponseBodyFeature.SendFileAsync.
   *
   * @param path - The file; a relative path starts from the process's working directory. It must not
   * come from a client unchecked.
   * @param offset - Where the part begins (bytes); 0 unless given.
   * @param count - How long the part is (bytes); up to the end of the file unless given.
   * @returns A promise that settles when the system has taken all of it, or the client has gone. Before
   * anything is sent it rejects with Node's error where the file cannot be opened (`ENOENT`, `EACCES`,
   * `EMFILE`, `EISDIR` for a directory), WindhoverError WH_ERR_NOT_A_FILE for a device, a FIFO or a
   * socket, RangeError WH_ERR_INVALID_ARGUMENT where the part goes beyond the end of the file, and
   * WindhoverError WH_ERR_CONTENT_LENGTH_EXCEEDED where it is more than the Content-Length leaves. Later
   * it rejects with WindhoverError WH_ERR_FILE_TRUNCATED where the file became shorter, or
   * WH_ERR_FILE_UNREADABLE; the client then sees that the answer is cut.
   * @throws TypeError or RangeError WH_ERR_INVALID_ARGUMENT for an argument that is none; WindhoverError
   * WH_ERR_RESPONSE_ENDED.
   */
  sendFile(path: PathLike, offset = 0, count?: number): Promise<void> {
    const feature = this.body();
    if (feature.sendFile !== undefined) return feature.sendFile(path, offset, count);
    return sendFileByParts(this.head(), feature, path, offset, count);
  }

  /**
   * Sends an interim answer: 103 (Early Hints, RFC 8297) with `Link` fields, 102 (Processing), or 100 to a
   * client that waits with its body. Several may precede the answer. To a client of HTTP/1.0, which knows
   * none, nothing is sent.
   *
   * @param statusCode - 100, or 102 to 199.
   * @param headers - Pairs of name and value, or an object by names.
   * @returns A promise that settles when there is room for more; `undefined` where there is room now.
   * @throws RangeError WH_ERR_INVALID_STATUS; TypeError WH_ERR_INVALID_ARGUMENT,
   * WH_ERR_INVALID_HEADER_NAME (also for the fields of framing and connection), WH_ERR_INVALID_HEADER_VALUE;
   * WindhoverError WH_ERR_RESPONSE_STARTED, WH_ERR_RESPONSE_ENDED, WH_ERR_FEATURE_MISSING.
   */
  writeInformational(statusCode: number, headers?: InformationalHeaders): void | Promise<void> {
    return requireFeature(this.features, HttpInformationalResponseFeature).writeInformational(
      statusCode,
      headers,
    );
  }

  /**
   * Ends the answer. The server does so by itself when the handler is done.
   *
   * @throws WindhoverError WH_ERR_RESPONSE_ENDED where it was ended before.
   */
  end(): void | Promise<void> {
    const result = this.body().complete();
    this._ended = true;
    return result;
  }

  /**
   * Sends the client elsewhere: sets the status and the Location field.
   *
   * @param url - Where to; characters that no URL may have are percent-encoded.
   * @param status - 301, 302 (unless given), 303, 307 or 308.
   * @throws RangeError WH_ERR_INVALID_STATUS; TypeError WH_ERR_INVALID_HEADER_VALUE where the URL has a
   * line end; WindhoverError WH_ERR_RESPONSE_STARTED.
   */
  redirect(url: string, status = 302): void {
    if (typeof url !== 'string')
      throw invalidArgument('The URL of response.redirect', 'a string', url);
    if (!REDIRECTS.has(status)) {
      throw codedRangeError(
        'WH_ERR_INVALID_STATUS',
        `response.redirect takes the statuses ${[...REDIRECTS].join(', ')}, not ${String(status)}`,
      );
    }
    const location = url.replace(NOT_IN_LOCATION, percentEncode);
    this.head().headers.set('Location', location);
    this.statusCode = status;
  }

  /**
   * Registers what runs before the head is sent, while it can still change; the last registered runs
   * first.
   *
   * @throws WindhoverError WH_ERR_RESPONSE_STARTED where it is too late.
   */
  onStarting(callback: ResponseCallback): void {
    const head = this.head();
    if (typeof callback !== 'function')
      throw invalidArgument('The callback', 'a function', callback);
    if (head.hasStarted) throw responseStarted('What runs before the start');
    head.onStarting(callback);
  }

  /** Registers what runs when the request is over; the last registered runs first. */
  onCompleted(callback: ResponseCallback): void {
    if (typeof callback !== 'function')
      throw invalidArgument('The callback', 'a function', callback);
    this.head().onCompleted(callback);
  }

  /** @internal */
  _dispose(): void {
    this.features = DISPOSED_FEATURES;
  }

  private sendWhole(
    body: Uint8Array | string,
    contentType: string | undefined,
    otherwise: string,
  ): void | Promise<void> {
    const feature = this.body();
    let type = otherwise;
    if (contentType !== undefined) {
      type = checkedContentType(contentType);
      const headers = this.head().headers;
      if (headers.has('Content-Type')) headers.set('Content-Type', type);
    }
    const result =
      feature.send === undefined ? this.sendByParts(feature, body, type) : feature.send(body, type);
    this._ended = true;
    return result;
  }

  /** What HttpResponseBodyFeature.send does, for servers without it. */
  private sendByParts(
    feature: HttpResponseBodyFeature,
    body: Uint8Array | string,
    contentType: string,
  ): void | Promise<void> {
    const head = this.head();
    if (head.hasStarted) throw responseStarted('The head');
    if (!head.headers.has('Content-Type')) head.headers.set('Content-Type', contentType);
    head.headers.set('Content-Length', Buffer.byteLength(body));
    const written = body.length === 0 ? undefined : feature.write(body);
    return written === undefined ? feature.complete() : written.then(() => feature.complete());
  }

  private head(): HttpResponseFeature {
    if (this.features.revision !== this.revision) this.forget();
    return (this.headFeature ??= requireFeature(this.features, HttpResponseFeature));
  }

  private body(): HttpResponseBodyFeature {
    if (this.features.revision !== this.revision) this.forget();
    return (this.bodyFeature ??= requireFeature(this.features, HttpResponseBodyFeature));
  }

  private forget(): void {
    this.headFeature = undefined;
    this.bodyFeature = undefined;
    if (this.features !== DISPOSED_FEATURES) this.revision = this.features.revision;
  }
}

/** The Content-Type that passed the check last: programs use few. */
let lastContentType = TEXT;

function checkedContentType(value: string): string {
  if (value === lastContentType) return value;
  if (typeof value !== 'string') throw invalidArgument('The content type', 'a string', value);
  return (lastContentType = normalizeHeaderValue('Content-Type', value));
}

function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    // Typed as string by TypeScript, but undefined for what JSON has no word for.
    text = JSON.stringify(value);
  } catch (error) {
    throw codedTypeError(
      'WH_ERR_NOT_SERIALIZABLE',
      `The value has no JSON: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  if (text !== undefined) return text;
  throw codedTypeError('WH_ERR_NOT_SERIALIZABLE', `A value of type ${typeof value} has no JSON`);
}

function percentEncode(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
