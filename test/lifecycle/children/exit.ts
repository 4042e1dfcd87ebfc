/** A server in a process that ends in one of several ways; see exit.test.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import type { HttpContext } from '../../../lib/http/http-context.js';
import { createApplication } from '../../../lib/server/server.js';
import { RawClient } from '../../support/raw-client.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const [, , kind] = process.argv;

let act: (context: HttpContext) => void | Promise<void> = ({ response }) => response.text('a');
const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
await server.start(createApplication((context) => act(context)));
const port = Number(new URL(server.addresses[0]).port);

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect(port);
  client.socket.unref();
  return client;
}

const client = await connect();
if ((await client.request(GET)).text !== 'a') process.exit(9);

switch (kind) {
  case 'exit': // with an idle connection
    process.exit(0);
    break;
  case 'unref':
    server.unref();
    break;
  case 'unref, ref, unref':
    server.unref().ref().unref();
    break;
  case 'ref': {
    // Held open until the parent says otherwise.
    server.unref().ref();
    process.stdin.on('data', () => {
      process.exit(3);
    });
    process.stdin.unref();
    process.stdout.write('held\n');
    break;
  }
  case 'stopped':
    await server.stop();
    break;
  case 'exit in a handler':
    act = () => process.exit(0);
    await client.request(GET);
    break;
  case 'exit in an async handler':
    act = async () => {
      await delay(1);
      process.exit(0);
    };
    await client.request(GET);
    break;
  case 'exit after the answer': // which is ordered, and not sent
    act = ({ response }) => {
      void response.bytes(Buffer.alloc(1_000_000));
      process.exit(0);
    };
    await client.request(GET);
    break;
  case 'exit in onCompleted':
    act = ({ response }) => {
      response.onCompleted(() => process.exit(0));
      return response.text('a');
    };
    await client.request(GET);
    await delay(1000);
    break;
  case 'exit with requests in flight': {
    let running = 0;
    act = async ({ request, response }) => {
      if (++running === 60) process.exit(0);
      if (running % 3 === 0) await response.write(Buffer.alloc(1_000_000));
      else if (running % 3 === 1) await request.body.bytes();
      else await delay(100_000);
    };
    for (let i = 0; i < 30; i++) {
      const other = await connect();
      other.pause();
      void other.write(
        `${GET}${GET}POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\nabc`,
      );
    }
    await delay(10_000);
    break;
  }
  case 'stop and exit':
    act = async ({ response }) => {
      void server.stop();
      await response.text('a');
      process.exit(0);
    };
    await client.request(GET);
    break;
  case 'uncaught':
    act = () => {
      setImmediate(() => {
        throw new Error('mine');
      });
    };
    await client.request(GET);
    await delay(10_000);
    break;
  case 'signal':
    process.stdout.write('up\n');
    break;
  default:
    process.exit(8);
}
