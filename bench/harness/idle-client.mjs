/**
 * Holds connections open, each of which has made one request. Run by measure-idle.mjs as a process
 * of its own. Arguments: port, count. It tells its parent how many were answered, and, asked, how
 * many are open still; it ends with its parent.
 */

import net from 'node:net';

import { readAnswer, requestText } from './wire.mjs';

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
// All come from one address: it has about 28,000 ports towards each port of a server. A source
// address of one's own choice would need a port that no earlier connection has used lately.
/** Connections being opened at a time: fewer than any server's backlog. */
const atOnce = 100;

const request = requestText({ method: 'GET', path: '/plaintext' }, `127.0.0.1:${port}`);
let answered = 0;
let open = 0;
let started = 0;
let firstError = '';

/** @returns {Promise<void>} */
function openOne() {
  started += 1;
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      open += 1;
      socket.once('close', () => (open -= 1));
      socket.write(request, 'latin1');
    });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (readAnswer(received, false)?.status !== 200) return;
      answered += 1;
      resolve();
    });
    socket.once('error', (error) => {
      firstError ||= error.message;
      resolve();
    });
    socket.once('close', resolve);
  });
}

async function openMany() {
  while (started < count) await openOne();
}

process.on('message', () => process.send?.({ open }));
process.on('disconnect', () => process.exit());
await Promise.all(Array.from({ length: Math.min(atOnce, count) }, openMany));
process.send?.({ open: answered, error: firstError || 'closed by the server' });
