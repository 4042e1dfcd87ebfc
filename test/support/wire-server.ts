/** A WindhoverServer for a test, which is looked over when the test is done: nothing may be left. */
import type { ExecutionContext } from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { ServerOptions } from '../../lib/server/options.js';
import type { HttpApplication } from '../../lib/server/server.js';
import { createApplication } from '../../lib/server/server.js';
import type { ServerMetrics } from '../../lib/server/windhover-server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { RawClient } from './raw-client.js';
import { until } from './until.js';

/** What the addon counts besides. */
export type FullMetrics = ServerMetrics & { readonly pinnedBuffers: number };

export interface WireServer {
  readonly server: WindhoverServer;
  readonly port: number;
  readonly url: string;
  /** What was reported of failing handlers. */
  readonly reported: unknown[];
  readonly metrics: () => FullMetrics;
  /** A connection, which is closed after the test. */
  readonly connect: () => Promise<RawClient>;
  /** Sends bytes on a connection of their own and takes one answer. */
  readonly once: (bytes: string | Uint8Array, method?: string) => ReturnType<RawClient['answer']>;
}

type Handler = (context: HttpContext) => void | Promise<void>;

/** Starts a server on 127.0.0.1 with a handler. */
export async function startServer(
  t: ExecutionContext,
  handler: Handler,
  options: ServerOptions = {},
): Promise<WireServer> {
  const reported: unknown[] = [];
  const application = createApplication(handler, {
    onError: (error) => {
      reported.push(error);
    },
  });
  return { ...(await startApplication(t, application, options)), reported };
}

/** Starts a server on 127.0.0.1 with an application. */
export async function startApplication<T>(
  t: ExecutionContext,
  application: HttpApplication<T>,
  options: ServerOptions = {},
): Promise<WireServer> {
  const server = new WindhoverServer({
    endpoints: [{ host: '127.0.0.1', port: 0 }],
    ...options,
  });
  await server.start(application);
  const clients: RawClient[] = [];
  const [url] = server.addresses;
  const port = Number(new URL(url).port);
  const metrics = (): FullMetrics => server.metrics() as FullMetrics;
  const connect = async (): Promise<RawClient> => {
    const client = await RawClient.connect(port);
    clients.push(client);
    return client;
  };
  t.teardown(async () => {
    for (const client of clients) client.destroy();
    // A server that is stopped tells the same for ever.
    if (server.metrics() === server.metrics()) return;
    try {
      await until(() => isQuiet(metrics()), 'nothing of the test is left in the server', 10_000);
    } catch (error) {
      const { latency: _, ...left } = metrics();
      throw new Error(`${String(error)}: ${JSON.stringify(left)}`);
    } finally {
      await server.stop(AbortSignal.abort());
    }
  });
  return {
    server,
    port,
    url,
    reported: [],
    metrics,
    connect,
    once: async (bytes, method) => (await connect()).request(bytes, method),
  };
}

/** Whether no request and no buffer is held. */
export function isQuiet(metrics: FullMetrics): boolean {
  return metrics.activeRequests === 0 && metrics.pinnedBuffers === 0;
}
