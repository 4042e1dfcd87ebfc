/** An application whose stop waits for a hook, which waits for a line; see on-windhover.test.ts. */
import { once } from 'node:events';
import { WebApplication } from '../../../lib/index.js';

const builder = WebApplication.createBuilder();
builder.server.listen({ host: '127.0.0.1', port: 0 });
builder.suppressStatusMessages = true;
builder.server.shutdown.drainWindow = 10_000;
const app = builder.build();
app.get('/ready', ({ response }) => {
  response.statusCode = app.lifetime.isReady ? 200 : 503;
  return response.text(app.lifetime.readiness);
});
app.lifetime.onStopping(async () => {
  console.log('hook begins');
  await once(process.stdin, 'data');
  if (process.argv[2] === 'fails') throw new Error('no registry');
});
app.lifetime.started.addEventListener('abort', () => {
  console.log(app.addresses[0]);
});
app.lifetime.stopped.addEventListener('abort', () => {
  console.log('stopped');
});
await app.run();
console.log('ran');
