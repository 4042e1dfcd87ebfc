/** Paths between their decoded form, which requests have, and the form of URLs. */

/** A slash that stays encoded, so that it divides nothing. */
const ENCODED_SLASH = /(%2f)/i;

/** What stands for itself in a path (RFC 3986 section 3.3), and `%2F` which was never decoded. */
const NEEDS_ENCODING = /%(?!2[fF])|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]+/g;

/** A path as URLs have it. */
export function encodePath(path: string): string {
  return path.replace(NEEDS_ENCODING, (text) => {
    let encoded = '';
    for (const byte of Buffer.from(text, 'utf8')) {
      encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    }
    return encoded;
  });
}

/**
 * The decoded form of a prefix as a proxy tells it (`/app`, `/app/`, `/`), without a slash at its end.
 * `undefined` for what is none: it must start with one slash and have no empty, `.` or `..` segments.
 */
export function parsePrefix(text: string): string | undefined {
  if (!/^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*$/.test(text)) return undefined;
  const trimmed = text.endsWith('/') ? text.slice(0, -1) : text;
  const decoded = decode(trimmed);
  if (decoded === undefined || /[\p{Cc}\\]/u.test(decoded)) return undefined;
  const segments = decoded.split('/').slice(1);
  return segments.some((segment) => ['', '.', '..'].includes(segment)) ? undefined : decoded;
}

function decode(path: string): string | undefined {
  try {
    return path
      .split(ENCODED_SLASH)
      .map((part) => (ENCODED_SLASH.test(part) ? part : decodeURIComponent(part)))
      .join('');
  } catch {
    return undefined;
  }
}
