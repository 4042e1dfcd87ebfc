/** A server for bodies of a gigabyte, which tells how much memory they take; see streaming.test.ts. */
import { statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createApplication } from '../../../lib/server/server.js';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';

const [, , file] = process.argv;
const FILE_SIZE = statSync(file).size;
const PIECE = Buffer.alloc(65_536, 'a');

const server = new WindhoverServer({
  endpoints: [{ host: '127.0.0.1', port: 0 }],
  limits: { maxRequestBodySize: null },
});
await server.start(
  createApplication(async ({ request, response }) => {
    const size = Number(request.queryString.slice(1));
    if (request.path === '/file') {
      response.contentLength = size;
      for (let left = size; left > 0; left -= FILE_SIZE) await response.sendFile(file);
    } else if (request.path === '/down') {
      response.contentLength = size;
      for (let left = size; left > 0; left -= PIECE.length) await response.write(PIECE);
    } else {
      let length = 0;
      for await (const piece of request.body) length += piece.byteLength;
      await response.text(String(length));
    }
  }),
);

let most = 0;
const measure = (): void => {
  most = Math.max(most, process.memoryUsage.rss());
};
setInterval(measure, 10);
console.log(JSON.stringify({ port: Number(new URL(server.addresses[0]).port) }));

createInterface(process.stdin).on('line', () => {
  measure();
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ most, cpu: (user + system) / 1000 }));
  most = 0;
});
