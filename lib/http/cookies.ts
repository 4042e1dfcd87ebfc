/** The Cookie field, read as RFC 6265 section 5.4 has it written: `name=value; name=value`. */

/**
 * The cookies by name. The first of a name counts (user agents send the more specific one first), quotes
 * around a value go, and percent-encoded values are decoded where that is possible.
 *
 * @param field - The field's value.
 * @returns An object without a prototype, so that no name means anything but itself.
 */
export function parseCookies(field: string): Record<string, string | undefined> {
  const cookies = Object.create(null) as Record<string, string | undefined>;
  for (const pair of field.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 0) continue;
    const name = pair.slice(0, equals).trim();
    if (name === '' || name in cookies) continue;
    cookies[name] = decodeValue(pair.slice(equals + 1).trim());
  }
  return cookies;
}

function decodeValue(value: string): string {
  const quoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  const bare = quoted ? value.slice(1, -1) : value;
  if (!bare.includes('%')) return bare;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}
