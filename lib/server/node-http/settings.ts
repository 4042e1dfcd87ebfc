/** From the options that a person writes to what a server on node:http goes by. */
import { WindhoverError } from '../../http/errors.js';
import type { EndpointOptions, EndpointSettings, ServerOptions } from '../options.js';
import type { HttpsOptions } from '../https-options.js';
import { toLaneOptions } from '../windhover/native-options.js';
import { NODE_HTTP2_LIMITS, NODE_LIMITS, type NodeLimits, toNodeLimits } from './limits.js';
import { type RefusalAnswers, toNodeRefusals } from './refusals.js';

export interface NodeSettings {
  readonly limits: NodeLimits;
  readonly addServerHeader: boolean;
  readonly allowRawQueryCharacters: boolean;
  /** Whether connections over the limit are closed rather than answered 503. */
  readonly closeOverLimit: boolean;
  readonly refusals: RefusalAnswers;
  /** The options that were set and cannot be kept, by their names, each with why or what holds instead. */
  readonly unkept: readonly string[];
}

/**
 * Checks the options.
 *
 * @throws TypeError WH_ERR_INVALID_ARGUMENT; TypeError or RangeError WH_ERR_INVALID_OPTION;
 * WindhoverError WH_ERR_NOT_SUPPORTED for what it would not be safe to leave out.
 */
export function toNodeSettings(options: ServerOptions): NodeSettings {
  const { refusals = 'empty', ...others } = (options as ServerOptions | null) ?? {};
  const isObject = typeof options === 'object' && (options as unknown) !== null;
  toLaneOptions(isObject ? others : options); // what is none is refused there
  const { limits = {}, http1 = {}, addServerHeader = true } = options;
  refuseUnsafe(options);
  return {
    limits: toNodeLimits(limits),
    addServerHeader,
    allowRawQueryCharacters: http1.allowRawQueryCharacters ?? false,
    closeOverLimit: options.connectionLimitResponse === 'close',
    refusals: toNodeRefusals(refusals),
    unkept: findUnkept(options),
  };
}

/** Who trusts in them would be deceived by a server without them. */
function refuseUnsafe({ endpoints = [], endpointDefaults }: ServerOptions): void {
  const all: [string, EndpointSettings | undefined][] = [
    ['endpointDefaults', endpointDefaults],
    ...endpoints.map((each, i): [string, EndpointOptions] => [`endpoints[${String(i)}]`, each]),
  ];
  for (const [name, endpoint] of all) {
    if (endpoint?.proxyProtocol === undefined) continue;
    throw new WindhoverError(
      'WH_ERR_NOT_SUPPORTED',
      `option '${name}.proxyProtocol' cannot be kept by NodeHttpServer, and it is not safe without it`,
    );
  }
}

const UNKEPT_OPTIONS: Readonly<Record<string, string>> = {
  onAcceptPaused: 'Node does not tell',
  onAcceptResumed: 'Node does not tell',
  busyPoll: 'the event loop is libuv’s',
};

const UNKEPT_HTTP1: readonly string[] = ['allowBareLineFeed', 'allowHostHeaderOverride'];

/** Bytes of a ticket key. */
const TICKET_KEY_SIZE = 80;

const UNKEPT_TLS: Readonly<Record<string, string>> = {
  ocspResponse: 'none is sent',
};

function findUnkept(options: ServerOptions): string[] {
  const { limits = {}, http1 = {}, endpoints = [], endpointDefaults } = options;
  const found: string[] = [];
  const look = (given: object, prefix: string, why: (name: string) => string | undefined): void => {
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) continue;
      const reason = why(name);
      if (reason !== undefined) found.push(prefix + name + (reason === '' ? '' : ` (${reason})`));
    }
  };
  look(
    { ...options, busyPoll: usesDefault(options) ? undefined : options.busyPoll },
    '',
    (name) => UNKEPT_OPTIONS[name],
  );
  look(http1, 'http1.', (name) =>
    UNKEPT_HTTP1.includes(name) && http1[name as keyof typeof http1] === true ? '' : undefined,
  );
  look(limits, 'limits.', (name) => (name === 'http2' || name in NODE_LIMITS ? undefined : ''));
  look(limits.http2 ?? {}, 'limits.http2.', (name) => (name in NODE_HTTP2_LIMITS ? undefined : ''));
  const lookAtEndpoint = (endpoint: EndpointSettings, name: string): void => {
    look(endpoint, `${name}.`, (option) => {
      if (option === 'fd') return 'the descriptor itself is listened on, and closed at the stop';
      return option === 'reusePort' && !knowsReusePort()
        ? 'this Node has no such option'
        : undefined;
    });
    for (const [i, middleware] of (endpoint.use ?? []).entries()) {
      look(middleware, `${name}.use[${String(i)}].`, (hook) =>
        hook === 'received' || hook === 'sent' ? '' : undefined,
      );
    }
    lookAtTls(endpoint.https ?? {}, `${name}.https`);
  };
  const lookAtTls = (https: HttpsOptions, name: string): void => {
    const { ticketKeys = [] } = https;
    look(https, `${name}.`, (option) =>
      option === 'ticketKeys' ? moreThanOne(ticketKeys) : UNKEPT_TLS[option],
    );
    for (const [host, own] of Object.entries(https.sni ?? {})) {
      look(own, `${name}.sni['${host}'].`, (option) =>
        option === 'minVersion' || option === 'maxVersion'
          ? 'those of the endpoint hold'
          : UNKEPT_TLS[option],
      );
    }
  };
  if (endpointDefaults !== undefined) lookAtEndpoint(endpointDefaults, 'endpointDefaults');
  for (const [i, endpoint] of endpoints.entries()) {
    lookAtEndpoint(endpoint, `endpoints[${String(i)}]`);
  }
  return found;
}

/** Node knows one ticket key. */
function moreThanOne(keys: Uint8Array | readonly Uint8Array[]): string | undefined {
  const size = keys instanceof Uint8Array ? keys.length / TICKET_KEY_SIZE : keys.length;
  return size > 1 ? 'only the first counts' : undefined;
}

/** Whether its default would not be kept either, which nobody need be told. */
function usesDefault({ busyPoll }: ServerOptions): boolean {
  return busyPoll === 'adaptive' || busyPoll === false;
}

/** Node has it since 22.12 and 23.1. */
export function knowsReusePort(): boolean {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}
