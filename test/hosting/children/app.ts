/** An application that runs until it is told to end; see on-windhover.test.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import { WebApplication } from '../../../lib/index.js';

const builder = WebApplication.createBuilder({ args: process.argv.slice(2) });
builder.server.listen({ host: '127.0.0.1', port: 0 });
const app = builder.build();
app.get('/', ({ response }) => response.text('Hello'));
app.get('/slow', async ({ response }) => {
  console.log('slow begins');
  await delay(300);
  await response.text('slow');
});
app.get('/forever', async ({ response }) => {
  console.log('forever begins');
  await response.write('a');
  await new Promise(() => undefined);
});
app.get('/events', async ({ request, response }) => {
  console.log('events begin');
  while (!app.lifetime.stopping.aborted && !request.aborted.aborted) {
    await response.write('data: tick\n\n');
    await delay(10);
  }
});
app.lifetime.stopping.addEventListener('abort', () => {
  console.log('stopping');
});
app.lifetime.stopped.addEventListener('abort', () => {
  console.log('stopped');
});
await app.run();
console.log('ran');
