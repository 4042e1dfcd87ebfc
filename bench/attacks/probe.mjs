/** A well-behaved client: one request after the other, and how long each took. Argument: port. */

import { connect } from 'node:net';

const request = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/** @param {number} milliseconds */
function probe(milliseconds) {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(process.argv[2]), '127.0.0.1');
    socket.setNoDelay(true);
    /** @type {number[]} */
    const times = [];
    let sent = 0;
    const end = performance.now() + milliseconds;
    const send = () => {
      sent = performance.now();
      socket.write(request);
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error('the server closed the connection of a client that did nothing wrong'));
    });
    socket.on('data', (bytes) => {
      if (!bytes.includes('200 OK')) reject(new Error(`unexpected: ${bytes.toString('latin1')}`));
      times.push(performance.now() - sent);
      if (performance.now() < end) {
        // Not without a pause: the attackers share this machine.
        setTimeout(send, 1);
        return;
      }
      socket.removeAllListeners('close');
      socket.destroy();
      times.sort((a, b) => a - b);
      resolve({
        count: times.length,
        p50: times[Math.floor(times.length * 0.5)],
        p99: times[Math.floor(times.length * 0.99)],
      });
    });
  });
}

process.on('message', (/** @type {{ milliseconds: number }} */ { milliseconds }) => {
  probe(milliseconds).then(
    (result) => process.send?.(result),
    (error) => process.send?.({ failed: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
