/** What the handlers of interop tests answer, whatever the protocol. */
import { createHash } from 'node:crypto';
import { TlsConnectionFeature, TlsHandshakeFeature } from '../../lib/features/tls-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';

/** More than any window. */
export const LARGE = Buffer.alloc(20_000_000);
for (let i = 0; i < LARGE.length; i += 4) LARGE.writeUInt32LE(i, i);
export const DIGEST = createHash('sha1').update(LARGE).digest('hex');

export async function answer({ request, response, features }: HttpContext): Promise<void> {
  switch (request.path) {
    case '/facts': {
      const tls = features.get(TlsHandshakeFeature);
      return response.json({
        protocol: request.protocol,
        scheme: request.scheme,
        host: request.host,
        sni: tls?.hostName ?? null,
        tls: tls?.protocol ?? null,
        alpn: tls?.applicationProtocol ?? null,
        resumed: tls?.isResumed ?? null,
        visitor: features.get(TlsConnectionFeature)?.clientCertificate?.subject ?? null,
      });
    }
    case '/hello':
      return response.text('Hello');
    case '/echo':
      return response.bytes(await request.body.bytes());
    case '/stream':
      for await (const piece of request.body) await response.write(piece);
      return undefined;
    case '/digest': {
      const hash = createHash('sha1');
      for await (const piece of request.body) hash.update(piece);
      return response.text(hash.digest('hex'));
    }
    case '/large':
      return response.bytes(LARGE);
    case '/large/written':
      for (let at = 0; at < LARGE.length; at += 100_000) {
        await response.write(LARGE.subarray(at, at + 100_000));
      }
      return undefined;
    case '/headers':
      return response.json([...request.headers]);
    case '/many-headers':
      for (let i = 0; i < 500; i++) {
        response.headers.set(`X-Field-${String(i)}`, `${String(i)} `.repeat(20));
      }
      return response.text('many');
    case '/trailers':
      response.trailers.set('X-End', 'told');
      return response.text('with trailers');
    case '/forever':
      while (!request.aborted.aborted) {
        await response.write('tick\n');
        await new Promise(setImmediate);
      }
      return undefined;
    case '/refuse':
      response.statusCode = 403;
      return response.text('no');
    case '/hints':
      await response.writeInformational(103, { Link: '</a.css>; rel=preload' });
      return response.text('hinted');
    default:
      response.statusCode = 404;
      return response.end();
  }
}
