/**
 * A server on the endpoint that its first argument says in JSON. It tells { addresses } or { code,
 * message }, and ends when its input does. With LISTEN_FDS in its environment it takes LISTEN_PID for its
 * own, as a process that systemd starts would find it.
 */
import { createApplication } from '../../../lib/server/server.js';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import type { EndpointOptions } from '../../../lib/server/options.js';

if (process.env['LISTEN_PID'] === 'own') process.env['LISTEN_PID'] = String(process.pid);
const endpoints = JSON.parse(process.argv[2]) as EndpointOptions[];
const server = new WindhoverServer({ endpoints });
try {
  await server.start(createApplication(({ response }) => response.text(String(process.pid))));
  console.log(JSON.stringify({ addresses: server.addresses, pid: process.pid }));
  process.stdin.resume().on('end', () => void server.stop());
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  console.log(JSON.stringify({ code, message }));
}
