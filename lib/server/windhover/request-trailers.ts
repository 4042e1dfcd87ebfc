/** The trailer fields of a request, made of a section that the core has checked. */
import { Buffer } from 'node:buffer';
import { WindhoverError } from '../../http/errors.js';
import { HeaderMap } from '../../http/header-map.js';
import { isForbiddenTrailer } from '../../http/trailer-fields.js';

/**
 * Takes a trailer section apart: `name: value` and CRLF (LF where that is let through) for each line, values
 * UTF-8. Fields that may not be trailers are left out, as RFC 9112 section 7.1.2 allows: nobody can take
 * them for the request's own.
 */
export function parseTrailers(section: readonly Uint8Array[]): HeaderMap {
  const lines: (readonly [name: string, value: string])[] = [];
  for (const line of Buffer.concat(section).toString('utf8').split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue; // what is behind the last line end
    lines.push([line.slice(0, colon), trimBlanks(line.slice(colon + 1))]);
  }
  return toTrailers(lines);
}

/** Trailers of field lines, without those that may not be trailers. */
export function toTrailers(lines: readonly (readonly [name: string, value: string])[]): HeaderMap {
  const map = HeaderMap.fromLines(lines.filter(([name]) => !isForbiddenTrailer(name)));
  map.freeze(readOnly);
  return map;
}

/** Takes SP and TAB off both ends; other white space belongs to the value. */
function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

function readOnly(name: string): WindhoverError {
  return new WindhoverError(
    'WH_ERR_HEADERS_READ_ONLY',
    `Trailer ${name} cannot be changed: the trailers of a request are read-only`,
  );
}

export function trailersNotAvailable(): WindhoverError {
  return new WindhoverError(
    'WH_ERR_TRAILERS_NOT_AVAILABLE',
    'The trailers of a request are there once its body has been read to the end',
  );
}
