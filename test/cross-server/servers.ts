/** The servers that the one application runs on: a row for each. */
import type { ExecutionContext } from 'ava';
import { WebApplication } from '../../lib/hosting/web-application.js';
import { NodeHttpServer } from '../../lib/server/node-http-server.js';
import type { EndpointOptions, ServerLimits } from '../../lib/server/options.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { configure } from './application.js';

/** What a case may ask for; everything has a default. */
export interface Setup {
  readonly https?: EndpointOptions['https'];
  readonly protocols?: EndpointOptions['protocols'];
  readonly limits?: ServerLimits;
  /** How long a stop waits for running requests (ms). */
  readonly shutdownTimeout?: number;
  /** Where to listen instead of a free port of 127.0.0.1. */
  readonly endpoints?: readonly EndpointOptions[];
}

/** The application on a server. */
export interface Running {
  readonly url: string;
  readonly addresses: readonly string[];
  readonly port: number;
  /** A connection, which is closed after the test. */
  readonly connect: () => Promise<RawClient>;
  /** Sends bytes on a connection of their own and takes one answer. */
  readonly once: (bytes: string, method?: string) => ReturnType<RawClient['answer']>;
  /** What the application has noticed under a key. */
  readonly events: (key: string) => Promise<string[]>;
  /** Waits until it has noticed that. */
  readonly noticed: (key: string, event: string) => Promise<void>;
  /** Lets a request go that hangs. */
  readonly release: (key: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** A server. */
export interface ServerRow {
  readonly name: string;
  readonly start: (t: ExecutionContext, setup: Setup) => Promise<Running>;
  /** Cases that it cannot pass for good reason, and the reason. They have to fail, or the row is wrong. */
  readonly differences: Readonly<Record<string, string>>;
}

type Make = Parameters<ReturnType<typeof WebApplication.createBuilder>['useServer']>[0];

/** A server in this process. */
function here(make: Make): ServerRow['start'] {
  return async (t, { https, protocols, limits, shutdownTimeout, endpoints }) => {
    const builder = WebApplication.createBuilder({ environment: 'Production' }).useServer(make);
    builder.onError = () => undefined;
    Object.assign(builder.server.limits, limits);
    if (shutdownTimeout !== undefined) builder.shutdownTimeout = shutdownTimeout;
    const endpoint = {
      host: '127.0.0.1',
      port: 0,
      ...(https === undefined ? {} : { https }),
      ...(protocols === undefined ? {} : { protocols }),
    };
    for (const each of endpoints ?? [endpoint]) builder.server.listen(each);
    const app = builder.build();
    configure(app);
    await app.start();
    t.teardown(() => app.stop(AbortSignal.abort()));
    return toRunning(t, app.addresses, () => app.stop());
  };
}

/** The rest is the same wherever the application runs. */
export function toRunning(
  t: ExecutionContext,
  addresses: readonly string[],
  stop: () => Promise<void>,
): Running {
  const clients: RawClient[] = [];
  t.teardown(() => {
    for (const client of clients) client.destroy();
  });
  const [url] = addresses;
  const port = url.includes('unix:') ? 0 : Number(new URL(url).port);
  const connect = async (): Promise<RawClient> => {
    const client = await RawClient.connect(port);
    clients.push(client);
    return client;
  };
  const events = async (key: string): Promise<string[]> =>
    (await (await fetch(`${url}/events?key=${key}`)).json()) as string[];
  return {
    url,
    addresses: [...addresses],
    port,
    connect,
    once: async (bytes, method) => (await connect()).request(bytes, method),
    events,
    noticed: (key, event) =>
      until(async () => (await events(key)).includes(event), `it has noticed: ${event}`),
    release: async (key) => {
      await (await fetch(`${url}/release?key=${key}`)).text();
    },
    stop,
  };
}

export const servers: readonly ServerRow[] = [
  {
    name: 'WindhoverServer',
    start: here((options) => new WindhoverServer(options)),
    differences: {},
  },
  {
    name: 'NodeHttpServer',
    start: here((options) => new NodeHttpServer(options)),
    differences: {
      'a target that is an authority is for CONNECT alone: 405':
        'Node’s parser refuses it without telling why: 400',
    },
  },
];
