/**
 * Extended CONNECT (RFC 8441) for programs that know Upgrade only: they see the HTTP/1.1 request that a
 * client would have sent for the same, and what they answer is translated back.
 */
import { randomBytes } from 'node:crypto';
import { HttpExtendedConnectFeature } from '../features/http2-features.js';
import type { HttpContext } from '../http/http-context.js';

/** The protocol that an extended CONNECT asks for; `undefined` of any other request. */
export function extendedProtocolOf({ features }: HttpContext): string | undefined {
  return features.get(HttpExtendedConnectFeature)?.protocol;
}

/** The field lines that the request would have on HTTP/1.1 besides its own. */
export function upgradeLines(protocol: string): (readonly [name: string, value: string])[] {
  const lines: (readonly [string, string])[] = [
    ['Connection', 'Upgrade'],
    ['Upgrade', protocol],
  ];
  // On HTTP/2 nobody sends or checks a key (RFC 8441 section 5): there is no cache to be fooled.
  if (isWebSocket(protocol)) lines.push(['Sec-WebSocket-Key', randomBytes(16).toString('base64')]);
  return lines;
}

export function isWebSocket(protocol: string): boolean {
  return protocol.toLowerCase() === 'websocket';
}

/** What of an answer of 101 says nothing on HTTP/2. */
export const UPGRADE_ANSWER_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'sec-websocket-accept',
  'upgrade',
]);
