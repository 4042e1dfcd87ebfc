/** Listens with certificates that are watched, and lets the process end. */
import { createApplication, WindhoverServer } from '../../../lib/index.js';

const [certFile, keyFile] = process.argv.slice(2);
const server = new WindhoverServer({
  endpoints: [{ host: '127.0.0.1', port: 0, https: { certFile, keyFile } }],
});
await server.start(createApplication(() => undefined));
server.unref();
console.log('listening');
