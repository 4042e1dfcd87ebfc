// windhover as it comes. Arguments: a port, or the path of a Unix socket.
import { setTimeout as delay } from 'node:timers/promises';
import { WebApplication } from '../../dist/lib/index.js';

const where = process.argv[2];
const body = { message: 'Hello, World!' };
const builder = WebApplication.createBuilder();
builder.suppressStatusMessages = true;
builder.urls.add(/^\d+$/.test(where) ? `http://127.0.0.1:${where}` : `http://unix:${where}`);
const app = builder.build();
app.get('/json', ({ response }) => response.json(body));
app.get('/slow', async ({ response }) => {
  await delay(50);
  await response.json(body);
});
app.post('/body', async ({ request, response }) => {
  await response.text(String((await request.body.bytes()).length));
});
app.lifetime.started.addEventListener('abort', () => console.log('ready'));
await app.run();
