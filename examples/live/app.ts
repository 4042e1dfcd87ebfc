/**
 * The example behind `npm start`: a page with the server's own live figures, and end points to try.
 * http://localhost:5000, and https://localhost:5001 with a certificate of `npx windhover dev-certs`, unless
 * `--urls`, WINDHOVER_URLS or PORT say otherwise.
 */
import { readFile } from 'node:fs/promises';
import type { HttpContext } from '../../lib/index.js';
import { WebApplication } from '../../lib/index.js';
import { Feed } from './feed.js';
import { Sampler } from './sampler.js';
import { defaultUrls } from './urls.js';

/** Beside the sources: the compiler does not copy what is not TypeScript. */
const PUBLIC = new URL('../../../examples/live/public/', import.meta.url);

/** How often the figures are taken (ms). */
const SAMPLE_INTERVAL = 1_000;

/** How many lines /time writes, one each second. */
const TIME_LINES = 10;

const builder = WebApplication.createBuilder({
  args: process.argv.slice(2),
  // So that /boom shows what developers see.
  environment: process.env['WINDHOVER_ENVIRONMENT'] ?? process.env['NODE_ENV'] ?? 'Development',
});
builder.onError = (error) => {
  console.error(error instanceof Error ? `${error.name}: ${error.message}` : error);
};
for (const url of defaultUrls(builder)) builder.urls.add(url);
const app = builder.build();

// The page.

const pages: readonly (readonly [path: string, file: string, contentType: string])[] = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/live.css', 'live.css', 'text/css; charset=utf-8'],
  ['/live.js', 'live.js', 'text/javascript; charset=utf-8'],
  ['/favicon.svg', 'favicon.svg', 'image/svg+xml'],
];
for (const [path, file, contentType] of pages) {
  const content = await readFile(new URL(file, PUBLIC));
  app.get(path, ({ response }) => {
    response.headers.set('Content-Security-Policy', "default-src 'self'");
    response.headers.set('Cache-Control', 'no-cache');
    return response.bytes(content, contentType);
  });
}

// The figures, as server-sent events (HTML Living Standard, section 9.2).

const sampler = new Sampler(() => app.server);
const feed = new Feed();

app.get('/live', async ({ request, response }) => {
  response.contentType = 'text/event-stream';
  response.headers.set('Cache-Control', 'no-store');
  await response.write(`event: history\ndata: ${JSON.stringify(sampler.history)}\n\n`);
  await feed.pass((event) => response.write(event), [request.aborted, app.lifetime.stopping]);
});

app.lifetime.started.addEventListener('abort', () => {
  setInterval(() => {
    feed.publish(`data: ${JSON.stringify(sampler.sample())}\n\n`);
  }, SAMPLE_INTERVAL).unref();
});

// End points to try.

app.get('/text', ({ response }) => response.text('Hello from windhover.\n'));

app.get('/json', ({ response }) =>
  response.json({ message: 'Hello from windhover.', time: new Date(), node: process.version }),
);

app.get('/hello/:name', ({ request, response }) =>
  response.json({ hello: request.routeValues['name'] }),
);

app.post('/echo', async ({ request, response }) => {
  const body = await request.body.bytes();
  // As plain bytes, so that no browser runs what somebody else's page posted here.
  response.headers.set('X-Content-Type-Options', 'nosniff');
  return response.bytes(body, 'text/plain; charset=utf-8');
});

app.get('/time', async ({ request, response }) => {
  response.contentType = 'text/plain; charset=utf-8';
  for (let line = 0; line < TIME_LINES && !request.aborted.aborted; line++) {
    await response.write(`${new Date().toISOString()}\n`);
    if (line + 1 < TIME_LINES) await nextSecond([request.aborted, app.lifetime.stopping]);
    if (app.lifetime.stopping.aborted) return;
  }
});

app.get('/boom', greetAndFail);

await app.run();

/** A failing handler, for the page that developers see. */
function greetAndFail({ request }: HttpContext): never {
  const name = request.query.get('name') ?? 'the windhover';
  throw new Error(`Nobody is as calm as ${name} in this wind`, {
    cause: new RangeError('The wind is stronger than 12 Beaufort'),
  });
}

/** Settles a second from now, or as soon as one of the signals aborts. */
function nextSecond(signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const listening = new AbortController();
    const done = (): void => {
      clearTimeout(timer);
      listening.abort();
      resolve();
    };
    const timer = setTimeout(done, 1_000);
    for (const signal of signals) {
      signal.addEventListener('abort', done, { signal: listening.signal });
      if (signal.aborted) done();
    }
  });
}
