/** A server of upgraded connections that tells about itself when asked; see ten-thousand-upgraded.test.ts. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';
import { acceptWebSocket } from '../../../lib/adapters/websocket.js';
import type { RequestDelegate } from '../../../lib/server/server.js';
import { createApplication } from '../../../lib/server/server.js';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';

const codes: Record<string, number> = {};
const wss = new WebSocketServer({ noServer: true });

const plain: RequestDelegate = async (context) => {
  const socket = await context.upgrade();
  socket.on('data', (data: Uint8Array) => socket.write(data));
  socket.on('end', () => socket.end());
};

const webSocket: RequestDelegate = async (context) => {
  const socket = await acceptWebSocket(context, wss);
  socket.on('message', (data, isBinary) => {
    socket.send(data, { binary: isBinary });
  });
  socket.on('close', (code) => {
    codes[String(code)] = (codes[String(code)] ?? 0) + 1;
  });
};

const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
await server.start(createApplication(process.argv[2] === 'ws' ? webSocket : plain));
console.log(server.addresses[0]);

const commands = createInterface(process.stdin);
commands.on('line', (line) => {
  void (async () => {
    const start = performance.now();
    if (line === 'stop') await server.stop();
    (globalThis as { gc?: () => void }).gc?.();
    const status = readFileSync('/proc/self/status', 'utf8');
    const [, resident] = /VmRSS:\s*([0-9]+) kB/.exec(status) ?? [];
    const { connections, upgradedConnections, requests, activeRequests } = server.metrics();
    const now = { connections, upgradedConnections, requests, activeRequests };
    const elapsed = performance.now() - start;
    console.log(JSON.stringify({ resident: Number(resident) * 1024, ...now, elapsed, codes }));
    // With nothing left the process ends by itself.
    if (line === 'stop') commands.close();
  })();
});
