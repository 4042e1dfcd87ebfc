/** From the options that a person writes to those that the core takes. */
import { codedTypeError, invalidArgument } from '../../http/errors.js';
import type { LaneEndpoint, LaneOptions } from '../../native/addon.js';
import type { EndpointOptions, ServerOptions } from '../options.js';

/** The limits that the core has; an unknown name is a mistake that must not pass in silence. */
const LIMITS: ReadonlySet<string> = new Set([
  'maxRequestLineSize',
  'maxRequestHeadersTotalSize',
  'maxRequestHeaderCount',
  'maxRequestBodySize',
  'maxPipelinedRequests',
  'keepAliveTimeout',
  'requestHeadersTimeout',
]);

const OPTIONS: ReadonlySet<string> = new Set([
  'endpoints',
  'limits',
  'addServerHeader',
  'busyPoll',
]);

function invalidOption(message: string): TypeError {
  return codedTypeError('WH_ERR_INVALID_OPTION', message);
}

function refuseUnknown(names: string[], known: ReadonlySet<string>, prefix: string): void {
  for (const name of names) {
    if (!known.has(name)) {
      throw invalidOption(
        `there is no option '${prefix}${name}'; there are: ${[...known].join(', ')}`,
      );
    }
  }
}

/**
 * The options for the core, which checks the values themselves.
 *
 * @throws TypeError WH_ERR_INVALID_OPTION for a name that there is not.
 */
export function toLaneOptions(options: ServerOptions): LaneOptions {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalidArgument('options', 'an object', options);
  }
  refuseUnknown(Object.keys(options), OPTIONS, '');
  const limits = options.limits ?? {};
  refuseUnknown(Object.keys(limits), LIMITS, 'limits.');
  const { busyPoll = 'adaptive', addServerHeader } = options;
  if (busyPoll !== 'adaptive' && busyPoll !== false && typeof busyPoll !== 'number') {
    throw invalidOption(
      `option 'busyPoll' must be 'adaptive', false or a number of microseconds, not ${String(busyPoll)}`,
    );
  }
  return {
    ...limits,
    ...(addServerHeader === undefined ? {} : { addServerHeader }),
    busyPoll: busyPoll === 'adaptive' ? -1 : busyPoll === false ? 0 : busyPoll,
  };
}

/**
 * An endpoint for the core.
 *
 * @throws TypeError WH_ERR_INVALID_OPTION where it asks for what this version does not have.
 */
export function toLaneEndpoint(endpoint: EndpointOptions): LaneEndpoint {
  if (typeof endpoint !== 'object' || (endpoint as unknown) === null) {
    throw invalidArgument('endpoint', 'an object', endpoint);
  }
  const { protocols = 'http1AndHttp2' } = endpoint;
  if (protocols !== 'http1' && protocols !== 'http1AndHttp2') {
    throw invalidOption(
      `option 'protocols' of an endpoint must be 'http1' or 'http1AndHttp2' in this version, not '${String(protocols)}'`,
    );
  }
  if ('url' in endpoint) return { url: endpoint.url };
  if ('path' in endpoint) {
    return {
      path: endpoint.path,
      ...(endpoint.mode === undefined ? {} : { unixMode: endpoint.mode }),
      ...(endpoint.owner === undefined
        ? {}
        : { unixUid: endpoint.owner.uid, unixGid: endpoint.owner.gid }),
    };
  }
  return { host: endpoint.host ?? 'localhost', port: endpoint.port };
}
