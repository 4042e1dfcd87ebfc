/** Servers in worker threads that end in one of several ways; see workers.test.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import type { HttpContext } from '../../../lib/http/http-context.js';
import { createApplication } from '../../../lib/server/server.js';
import { RawClient } from '../../support/raw-client.js';
import { within } from '../../support/until.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

async function serveIn(name: string): Promise<{ server: WindhoverServer; port: number }> {
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  await server.start(createApplication((context) => handle(name, context)));
  return { server, port: Number(new URL(server.addresses[0]).port) };
}

async function handle(name: string, { request, response }: HttpContext): Promise<void> {
  switch (request.path) {
    case '/': {
      await response.text(name);
      break;
    }
    case '/sleep':
      await delay(1_000_000);
      break;
    case '/write':
      for (;;) await response.write(Buffer.alloc(100_000));
    case '/file':
      await response.sendFile(process.execPath);
      break;
    case '/read':
      await request.body.bytes();
      break;
    case '/spin':
      parentPort?.postMessage('spinning');
      for (;;);
    case '/exit':
      process.exit(0);
      break;
    case '/throw':
      setImmediate(() => {
        throw new Error('mine');
      });
      break;
    default:
      throw new Error('no such path');
  }
}

async function inWorker(): Promise<void> {
  const { server, port } = await serveIn('worker');
  if (workerData === 'unref') server.unref();
  if (workerData === 'stop') {
    parentPort?.once('message', () => {
      void server.stop();
    });
  }
  parentPort?.postMessage(port);
}

async function startWorker(data?: string): Promise<{ worker: Worker; port: number }> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: data });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return { worker, port };
}

function whenExited(worker: Worker): Promise<number> {
  return within(
    new Promise((resolve) => {
      worker.once('exit', resolve);
    }),
    'the end of a worker',
  );
}

/** Connections with requests of every kind under way. */
async function burden(port: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const path of ['/sleep', '/write', '/read', '/file', '/write']) {
    const client = await RawClient.connect(port);
    if (path === '/write' || path === '/file') client.pause();
    const length = path === '/read' ? 'Content-Length: 1000000\r\n' : '';
    void client.write(`POST ${path} HTTP/1.1\r\nHost: h\r\n${length}\r\nabc`);
    clients.push(client);
  }
  // What was sent before this is under way.
  const last = await RawClient.connect(port);
  if ((await last.request(GET)).text !== 'worker') throw new Error('the worker does not answer');
  return [...clients, last];
}

const kinds: Readonly<Record<string, () => Promise<void>>> = {
  async terminated() {
    for (let round = 0; round < 20; round++) {
      const { worker, port } = await startWorker();
      const clients = await burden(port);
      await worker.terminate();
      for (const client of clients) client.resume(); // who does not read hears of nothing
      const endings = await Promise.all(
        clients.map((client) => within(client.closed, 'the end of a connection')),
      );
      if (endings.length !== 6) throw new Error('a connection is still there');
    }
  },

  async 'terminated in several at once'() {
    for (let round = 0; round < 5; round++) {
      const workers = await Promise.all([startWorker(), startWorker(), startWorker()]);
      await Promise.all(workers.map(({ port }) => burden(port)));
      await Promise.all(workers.map(({ worker }) => worker.terminate()));
    }
  },

  async 'terminated while it spins in a handler'() {
    for (let round = 0; round < 5; round++) {
      const { worker, port } = await startWorker();
      await burden(port);
      const spinning = new Promise((resolve) => worker.once('message', resolve));
      const client = await RawClient.connect(port);
      void client.write('GET /spin HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(3));
      await within(spinning, 'the handler');
      await worker.terminate();
      await within(client.closed, 'the end of the connection');
    }
  },

  async 'exits in a handler'() {
    for (let round = 0; round < 5; round++) {
      const { worker, port } = await startWorker();
      await burden(port);
      const exited = whenExited(worker);
      const client = await RawClient.connect(port);
      void client.write('GET /exit HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(3));
      if ((await exited) !== 0) throw new Error('the worker has failed');
    }
  },

  async 'fails with an uncaught exception'() {
    const { worker, port } = await startWorker();
    await burden(port);
    const failed = new Promise<Error>((resolve) => worker.once('error', resolve));
    const client = await RawClient.connect(port);
    void client.write('GET /throw HTTP/1.1\r\nHost: h\r\n\r\n');
    const { message } = await within(failed, 'the failure');
    if (message !== 'mine') throw new Error(message);
  },

  async 'ends by itself, unreferenced'() {
    const { worker, port } = await startWorker('unref');
    if (port === 0) throw new Error('no port');
    if ((await whenExited(worker)) !== 0) throw new Error('the worker has failed');
  },

  async 'ends by itself after a stop'() {
    const { worker, port } = await startWorker('stop');
    const client = await RawClient.connect(port);
    await client.request(GET);
    const exited = whenExited(worker);
    worker.postMessage('stop');
    if ((await exited) !== 0) throw new Error('the worker has failed');
  },

  async 'serves beside the main thread'() {
    const { server, port } = await serveIn('main');
    const workers = await Promise.all([startWorker(), startWorker()]);
    const ask = async (where: number, name: string): Promise<void> => {
      const client = await RawClient.connect(where);
      for (let i = 0; i < 200; i++) {
        const { text } = await client.request(GET);
        if (text !== name) throw new Error(`${text} is not ${name}`);
      }
      client.destroy();
    };
    const asked = [
      ask(port, 'main'),
      ask(port, 'main'),
      ...workers.flatMap((each) => [ask(each.port, 'worker'), ask(each.port, 'worker')]),
    ];
    await Promise.all(asked);
    await workers[0].worker.terminate();
    await Promise.all([ask(port, 'main'), ask(workers[1].port, 'worker')]);
    await workers[1].worker.terminate();
    await ask(port, 'main');
    await server.stop();
  },
};

if (!isMainThread) {
  await inWorker();
} else {
  await kinds[process.argv[2]]();
  console.log('survived');
}
