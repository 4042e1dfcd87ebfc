/** An application that is stopped under load; see stop-load.test.ts. Arguments: a URL to listen on. */
import { setTimeout as delay } from 'node:timers/promises';
import { WebApplication } from '../../../lib/index.js';

const builder = WebApplication.createBuilder();
builder.urls.add(process.argv[2] ?? 'http://127.0.0.1:0');
// Long enough for clients on a machine that is busy with other tests.
builder.server.shutdown.drainWindow = 2_000;
const app = builder.build();
app.get('/json', ({ response }) => response.json({ message: 'Hello, World!' }));
app.get('/slow', async ({ response }) => {
  await delay(50);
  await response.json({ message: 'Hello, World!' });
});
app.post('/body', async ({ request, response }) => {
  const body = await request.body.bytes();
  await response.text(String(body.length));
});
await app.run();
