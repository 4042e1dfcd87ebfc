/** hono on @hono/node-server. Arguments: port. */

import { serve } from '@hono/node-server';
import { Hono } from 'hono';

import { hello, idleMilliseconds, lookUp, makeLarge } from './shared.mjs';

const large = makeLarge();
const app = new Hono();

app.get('/plaintext', (context) => context.text(hello));
app.get('/json', (context) => context.json({ message: hello }));

app.get('/users/:id', (context) => {
  const { req } = context;
  const length =
    /** @type {string} */ (req.header('user-agent')).length +
    /** @type {string} */ (req.header('accept')).length +
    /** @type {string} */ (req.header('authorization')).length +
    /** @type {string} */ (req.header('x-request-id')).length;
  return context.text(`${req.param('id')} ${length}`);
});

app.use('/async', async (context, next) => {
  await next();
});
app.use('/async', async (context, next) => {
  await next();
});
app.get('/async', async (context) => context.text(await lookUp()));

app.get('/large', (context) => context.body(large, 200, { 'Content-Type': 'text/plain' }));

app.post('/echo', async (context) => {
  const body = await context.req.arrayBuffer();
  return context.body(body, 200, { 'Content-Type': 'application/octet-stream' });
});

app.post('/upload', async (context) => {
  let bytes = 0;
  const body = /** @type {any} */ (context.req.raw.body);
  for await (const chunk of body) bytes += chunk.length;
  return context.text(String(bytes));
});

serve({
  fetch: app.fetch,
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  serverOptions: { keepAliveTimeout: idleMilliseconds },
});
