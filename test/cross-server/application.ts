/**
 * The one application that runs unchanged on every server. What it notices it tells over HTTP (`/events`), so
 * that it may as well run in another process.
 */
import { once } from 'node:events';
import { WebSocketServer } from 'ws';
import { acceptWebSocket } from '../../lib/adapters/websocket.js';
import { HttpMaxRequestBodySizeFeature } from '../../lib/features/http-features.js';
import { HttpResetFeature } from '../../lib/features/http2-features.js';
import { TlsConnectionFeature, TlsHandshakeFeature } from '../../lib/features/tls-features.js';
import type { WebApplication } from '../../lib/hosting/web-application.js';
import type { HttpContext } from '../../lib/http/http-context.js';

/** What the application has noticed, by the key that a test gave it. */
const events = new Map<string, string[]>();
const gates = new Map<string, () => void>();

function note({ request }: HttpContext, event: string): void {
  noteAs(request.query.get('key') ?? '', event);
}

function noteAs(key: string, event: string): void {
  events.set(key, [...(events.get(key) ?? []), event]);
}

/** Bytes of a piece of `/stream`. */
const PIECE = Buffer.alloc(16_384, 'x');

/** Puts everything that the cases ask for into an application. */
export function configure(app: WebApplication): void {
  const sockets = new WebSocketServer({ noServer: true });
  app.get('/hello', ({ response }) => response.text('hello'));
  app.get('/request', ({ request, response }) =>
    response.json({
      method: request.method,
      scheme: request.scheme,
      protocol: request.protocol,
      host: request.host,
      pathBase: request.pathBase,
      path: request.path,
      queryString: request.queryString,
      rawTarget: request.rawTarget,
      hasBody: request.hasBody,
      headers: [...request.headers],
      cookies: { ...request.cookies },
    }),
  );
  app.get('/path/*', ({ request, response }) => response.text(request.path));
  app.map('/base', (branch) => {
    branch.get('/where', ({ request, response }) =>
      response.json([request.pathBase, request.path]),
    );
  });
  app.get('/connection', ({ connection, response, traceIdentifier }) =>
    response.json({ ...readConnection(connection), traceIdentifier }),
  );
  app.get('/tls', ({ features, response }) => {
    const handshake = features.get(TlsHandshakeFeature);
    const client = features.get(TlsConnectionFeature);
    return response.json({
      protocol: handshake?.protocol,
      cipher: handshake?.negotiatedCipherSuite,
      bits: handshake?.cipherStrength,
      hostName: handshake?.hostName,
      applicationProtocol: handshake?.applicationProtocol,
      client: client?.clientCertificate?.subject,
      verified: client?.isClientCertificateVerified,
      binding: client?.channelBinding?.length,
    });
  });
  configureBodies(app);
  configureAnswers(app);
  configureEnds(app);
  app.get('/upgrade', async (context) => {
    context.response.headers.set('X-Own', 'yes');
    const socket = await context.upgrade();
    socket.pipe(socket);
  });
  app.get('/upgrade/never', ({ isUpgradableRequest, response }) =>
    response.text(String(isUpgradableRequest)),
  );
  app.post('/upgrade/body', async ({ isUpgradableRequest, request, response }) =>
    response.text(`${String(isUpgradableRequest)} ${await request.body.text()}`),
  );
  app.get('/websocket', async (context) => {
    const socket = await acceptWebSocket(context, sockets);
    socket.on('message', (data: Buffer, isBinary) => {
      socket.send(data, { binary: isBinary });
    });
  });
}

function readConnection(connection: HttpContext['connection']): object {
  const { id, remoteAddress, remotePort, localAddress, localPort } = connection;
  return { id, remoteAddress, remotePort, localAddress, localPort };
}

function configureBodies(app: WebApplication): void {
  app.all('/echo', async ({ request, response }) => {
    const body = await request.body.bytes();
    await response.bytes(body, request.contentType);
  });
  app.post('/echo/stream', async ({ request, response }) => {
    for await (const piece of request.body) await response.write(piece);
  });
  app.post('/count', async (context) => {
    const { request, response } = context;
    const limit = request.query.get('limit');
    const feature = context.features.get(HttpMaxRequestBodySizeFeature);
    if (limit !== null && feature !== undefined) {
      feature.maxRequestBodySize = limit === 'none' ? null : Number(limit);
    }
    let bytes = 0;
    for await (const piece of request.body) bytes += piece.length;
    await response.json({ bytes });
  });
  app.post('/unread', ({ response }) => response.text('not read'));
  app.post('/read/some', async ({ request, response }) => {
    for await (const piece of request.body) {
      if (piece.length > 0) break;
    }
    await response.text('some');
  });
  app.post('/trailers', async ({ request, response }) => {
    response.trailers.set('X-Later', 'no');
    await response.write(await request.body.text());
    response.trailers.set('X-Later', 'yes');
    response.trailers.set('X-Came', JSON.stringify([...request.trailers]));
  });
  app.post('/body/fails', async (context) => {
    try {
      await context.request.body.bytes();
    } catch (error) {
      note(context, (error as { code?: string }).code ?? 'unknown');
      throw error;
    }
  });
}

function configureAnswers(app: WebApplication): void {
  app.get('/stream/:pieces', async (context) => {
    const { request, response } = context;
    const pieces = Number(request.routeValues['pieces']);
    for (let i = 0; i < pieces && !context.requestAborted.aborted; i++) {
      const room = response.write(PIECE);
      if (room !== undefined) note(context, 'full');
      await room;
      note(context, 'written');
    }
    note(context, 'done');
  });
  app.all('/status/:code', ({ request, response }) => {
    response.statusCode = Number(request.routeValues['code']);
    response.headers.set('X-Status', 'set');
  });
  app.get('/status/:code/text', ({ request, response }) => {
    response.statusCode = Number(request.routeValues['code']);
    response.reasonPhrase = 'As You Like';
    return response.text('text');
  });
  app.get('/headers', ({ response }) => {
    response.headers.append('Set-Cookie', 'a=1');
    response.headers.append('Set-Cookie', 'b=2');
    response.headers.set('Date', 'Thu, 01 Jan 1970 00:00:00 GMT');
    response.headers.set('Server', 'mine');
    response.headers.set('Connection', 'X-Hop');
    return response.text('headers');
  });
  app.get('/close', ({ response }) => {
    response.headers.set('Connection', 'close');
    return response.text('closed');
  });
  app.get('/length/:declared/:sent', async ({ request, response }) => {
    response.contentLength = Number(request.routeValues['declared']);
    await response.write('x'.repeat(Number(request.routeValues['sent'])));
  });
  app.get('/early', async ({ response }) => {
    await response.writeInformational(103, { Link: '</a.css>; rel=preload' });
    await response.writeInformational(103, { Link: '</b.css>; rel=preload' });
    await response.text('late');
  });
  app.all('/file', async ({ request, response }) => {
    const number = (name: string): number | undefined => {
      const text = request.query.get(name);
      return text === null ? undefined : Number(text);
    };
    const path = request.query.get('path') ?? '';
    await response.sendFile(path, number('offset'), number('count'));
  });
  app.get('/file/behind', ({ request, response }) => {
    const path = request.query.get('path') ?? '';
    void response.write('before ');
    void response.sendFile(path, 0, 4);
    void response.write(' behind');
    return response.end();
  });
  app.get('/order', (context) => {
    const { response } = context;
    const order: string[] = [];
    const key = context.request.query.get('key') ?? '';
    for (const each of ['one', 'two']) {
      response.onStarting(async () => {
        await Promise.resolve();
        order.push(each);
        response.headers.set('X-Order', order.join());
      });
      response.onCompleted(() => {
        noteAs(key, each);
      });
    }
    return response.text('ordered');
  });
}

function configureEnds(app: WebApplication): void {
  app.get('/fail', () => {
    throw new Error('on purpose');
  });
  app.get('/fail/later', async () => {
    await new Promise(setImmediate);
    throw new Error('on purpose');
  });
  app.get('/fail/started', async ({ response }) => {
    await response.write('a part');
    throw new Error('on purpose');
  });
  app.get('/fail/starting', ({ response }) => {
    response.onStarting(() => {
      throw new Error('on purpose');
    });
    return response.text('never');
  });
  app.get('/abort', (context) => {
    context.abort();
  });
  app.get('/reset/:code', ({ features, request }) => {
    features.get(HttpResetFeature)?.reset(Number(request.routeValues['code']));
  });
  app.all('/hang', async (context) => {
    const { request, response } = context;
    note(context, 'entered');
    context.requestAborted.addEventListener('abort', () => {
      note(context, 'aborted');
    });
    const key = request.query.get('key') ?? '';
    const gate = new Promise<void>((resolve) => gates.set(key, resolve));
    const signal = context.requestAborted;
    await Promise.race([gate, signal.aborted ? undefined : once(signal, 'abort')]);
    if (!signal.aborted) await response.text('let go');
    note(context, 'left');
  });
  app.all('/release', ({ request, response }) => {
    gates.get(request.query.get('key') ?? '')?.();
    return response.text('released');
  });
  app.get('/events', ({ request, response }) =>
    response.json(events.get(request.query.get('key') ?? '') ?? []),
  );
}
