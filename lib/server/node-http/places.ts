/** Where an endpoint is, and having a net.Server listen there. */
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs';
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { connect, isIP } from 'node:net';
import { WindhoverError } from '../../http/errors.js';
import type { LaneEndpoint } from '../../native/addon.js';
import { knowsReusePort } from './settings.js';

/** Kestrel's SocketTransportOptions.Backlog. */
const BACKLOG = 512;

/** How often a port of the system's choice is tried on both loopbacks. */
const TRIES = 16;

export type Place =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'fd'; readonly fd: number }
  | {
      readonly kind: 'localhost' | 'any' | 'ip';
      readonly host: string;
      readonly port: number;
    };

const URL_FORM = /^(https?):\/\/(?:unix:(\/[^?#:]*)|(\[[^\]]+\]|[^:/?#@\s]+)(?::(\d{1,5}))?\/?)$/i;
const HOST_NAME = /^(?:[*+]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?)$/;
const PORT_MAX = 65_535;

/** @throws WindhoverError WH_ERR_ADDRESS_INVALID */
export function toPlace({ url, host, port, path, fd }: LaneEndpoint): Place {
  if (fd !== undefined) return { kind: 'fd', fd };
  if (path !== undefined) {
    if (!path.startsWith('/') || path.includes('\0')) {
      throw invalid(`'${path}' is no absolute path of a socket`);
    }
    return { kind: 'unix', path };
  }
  if (url === undefined) return toTcp(host ?? 'localhost', port ?? 0);
  const match = URL_FORM.exec(url);
  if (match === null) throw invalid(`'${url}' is no URL to listen on`);
  const [, scheme, unix, name = '', number] = match as (string | undefined)[];
  if (unix !== undefined) return { kind: 'unix', path: unix };
  const standard = scheme?.toLowerCase() === 'https' ? 443 : 80;
  return toTcp(name, number === undefined ? standard : Number(number));
}

function toTcp(name: string, port: number): Place {
  if (port > PORT_MAX) throw invalid(`${String(port)} is no port`);
  const host = name.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host.split('%')[0]) !== 0) return { kind: 'ip', host, port };
  if (!HOST_NAME.test(host) || /(?:^|\.)\d+$/.test(host)) throw invalid(`'${name}' is no host`);
  const isLocal = /^(?:.*\.)?localhost$/i.test(host);
  return isLocal ? { kind: 'localhost', host: 'localhost', port } : { kind: 'any', host, port };
}

function invalid(why: string): WindhoverError {
  return new WindhoverError('WH_ERR_ADDRESS_INVALID', why);
}

/**
 * Listens.
 *
 * @param makeServer - Makes a server that does not listen.
 * @param scheme - For the URL.
 * @returns The servers, and the URL really bound. Rejects with WindhoverError WH_ERR_ADDRESS_IN_USE,
 * WH_ERR_ADDRESS_NOT_AVAILABLE, WH_ERR_ACCESS_DENIED, WH_ERR_SYSTEM; nothing listens then.
 */
export async function listenAt(
  place: Place,
  lane: LaneEndpoint,
  makeServer: () => Server,
  scheme: 'http' | 'https',
): Promise<{ readonly servers: readonly Server[]; readonly url: string }> {
  const { backlog = BACKLOG, reusePort } = lane;
  const common: Where = {
    backlog,
    ...(reusePort === true && knowsReusePort() ? { reusePort } : {}),
  };
  const servers: Server[] = [];
  const listen = async (options: Where): Promise<Server> => {
    const server = await listenOn(makeServer(), { ...common, ...options });
    servers.push(server);
    return server;
  };
  try {
    switch (place.kind) {
      case 'unix':
        await listenUnix(place.path, lane, listen);
        return { servers, url: `${scheme}://unix:${place.path}` };
      case 'fd':
        return { servers, url: urlOf(scheme, await listen({ fd: place.fd })) };
      case 'ip':
        return { servers, url: urlOf(scheme, await listen({ ...place })) };
      case 'any':
        return { servers, url: urlOf(scheme, await listenAny(place.port, listen)) };
      case 'localhost': {
        const port = await listenLocalhost(place.port, listen, servers);
        return { servers, url: `${scheme}://localhost:${String(port)}` };
      }
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw toListenError(error, place);
  }
}

/** Node's types know neither of the last two. */
type Where = ListenOptions & { readonly fd?: number; readonly reusePort?: boolean };
type Listen = (options: Where) => Promise<Server>;

function listenOn(server: Server, options: ListenOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** Whether the machine has no such address or no such protocol. */
function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EPROTONOSUPPORT';
}

async function listenAny(port: number, listen: Listen): Promise<Server> {
  try {
    return await listen({ host: '::', port });
  } catch (error) {
    if (!isMissing(error)) throw error;
    return listen({ host: '0.0.0.0', port });
  }
}

/** Both loopbacks on one port; where the system chooses it, IPv6 follows the choice of IPv4. */
async function listenLocalhost(port: number, listen: Listen, servers: Server[]): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      const first = await orMissing(listen({ host: '127.0.0.1', port }));
      const bound = first === undefined ? port : portOf(first);
      const second = await orMissing(listen({ host: '::1', port: bound }), first === undefined);
      return second === undefined ? bound : portOf(second);
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!isTaken || port !== 0 || tries >= TRIES) throw error;
      for (const server of servers.splice(0)) server.close();
    }
  }
}

async function orMissing(
  listening: Promise<Server>,
  isRequired = false,
): Promise<Server | undefined> {
  try {
    return await listening;
  } catch (error) {
    if (isRequired || !isMissing(error)) throw error;
    return undefined;
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function urlOf(scheme: string, server: Server): string {
  const address = server.address();
  if (typeof address === 'string') return `${scheme}://unix:${address}`;
  const { address: host = '', port = 0, family = '' } = address ?? {};
  return `${scheme}://${family === 'IPv6' ? `[${host}]` : host}:${String(port)}`;
}

async function listenUnix(path: string, lane: LaneEndpoint, listen: Listen): Promise<void> {
  try {
    await listen({ path });
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!isTaken || !lstatSync(path).isSocket() || !(await isStale(path))) throw error;
    unlinkSync(path);
    await listen({ path });
  }
  const { unixMode, unixUid, unixGid } = lane;
  if (unixMode !== undefined) chmodSync(path, unixMode);
  if (unixUid !== undefined && unixGid !== undefined) chownSync(path, unixUid, unixGid);
}

/** Whether nobody listens on a socket file. */
function isStale(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED');
    });
  });
}

const CODES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'WH_ERR_ADDRESS_IN_USE',
  EADDRNOTAVAIL: 'WH_ERR_ADDRESS_NOT_AVAILABLE',
  EACCES: 'WH_ERR_ACCESS_DENIED',
  EPERM: 'WH_ERR_ACCESS_DENIED',
};

function toListenError(error: unknown, place: Place): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return error;
  const where =
    place.kind === 'unix'
      ? place.path
      : place.kind === 'fd'
        ? `descriptor ${String(place.fd)}`
        : `${place.host}:${String(place.port)}`;
  return new WindhoverError(
    CODES[code] ?? 'WH_ERR_SYSTEM',
    `cannot listen on ${where}: ${(error as Error).message}`,
    { cause: error },
  );
}
