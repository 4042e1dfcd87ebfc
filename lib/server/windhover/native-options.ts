/** From the options that a person writes to those that the core takes. */
import { codedRangeError, invalidArgument } from '../../http/errors.js';
import type { LaneOptions } from '../../native/addon.js';
import type { Http2Limits, MinDataRate, ServerLimits, ServerOptions } from '../options.js';
import { isLogger } from '../log-events.js';
import { checkDefaults } from './lane-endpoints.js';
import { CODE, refuseUnknown, requireObject, wrongType } from '../../http/option-errors.js';
import { toRefusalAnswers } from './refusals.js';

/** The limits that the core has; an unknown name is a mistake that must not pass in silence. */
const LIMITS: ReadonlySet<string> = new Set([
  'maxRequestLineSize',
  'maxRequestHeadersTotalSize',
  'maxRequestHeaderCount',
  'maxRequestBodySize',
  'maxRequestBufferSize',
  'maxResponseBufferSize',
  'maxPipelinedRequests',
  'maxConcurrentUpgradedConnections',
  'keepAliveTimeout',
  'requestHeadersTimeout',
  'handshakeTimeout',
  'http2',
  'minRequestBodyDataRate',
  'minResponseDataRate',
  'requestBodyDrainTimeout',
  'lingerTimeout',
  'requestTimeout',
  'maxConcurrentConnections',
  'connectionLimitRetryAfter',
]);

/** What `http1` can let through. */
const HTTP1_OPTIONS: ReadonlySet<string> = new Set([
  'allowRawQueryCharacters',
  'allowBareLineFeed',
  'allowHostHeaderOverride',
]);

const OPTIONS: ReadonlySet<string> = new Set([
  'endpoints',
  'endpointDefaults',
  'limits',
  'http1',
  'connectionLimitResponse',
  'onAcceptPaused',
  'onAcceptResumed',
  'addServerHeader',
  'refusals',
  'shutdown',
  'logger',
  'busyPoll',
]);

/**
 * The options for the core, which checks the values of limits itself.
 *
 * @throws TypeError WH_ERR_INVALID_ARGUMENT where it is no object; TypeError or RangeError
 * WH_ERR_INVALID_OPTION, naming the option and the value.
 */
export function toLaneOptions(options: ServerOptions): LaneOptions {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalidArgument('options', 'an object', options);
  }
  refuseUnknown(options, OPTIONS, '');
  const { endpoints, limits = {}, http1 = {}, busyPoll = 'adaptive' } = options;
  const { addServerHeader, refusals, logger } = options;
  if (endpoints !== undefined && !Array.isArray(endpoints)) {
    throw wrongType('endpoints', 'an array', endpoints);
  }
  requireObject('limits', limits);
  refuseUnknown(limits, LIMITS, 'limits.');
  requireObject('http1', http1);
  refuseUnknown(http1, HTTP1_OPTIONS, 'http1.');
  for (const [name, value] of Object.entries(http1) as [string, unknown][]) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw wrongType(`http1.${name}`, 'a boolean', value);
    }
  }
  if (addServerHeader !== undefined && typeof addServerHeader !== 'boolean') {
    throw wrongType('addServerHeader', 'a boolean', addServerHeader);
  }
  const { connectionLimitResponse = '503', onAcceptPaused, onAcceptResumed } = options;
  if (connectionLimitResponse !== '503' && connectionLimitResponse !== 'close') {
    throw wrongType('connectionLimitResponse', "'503' or 'close'", connectionLimitResponse);
  }
  for (const [name, value] of Object.entries({ onAcceptPaused, onAcceptResumed })) {
    if (value !== undefined && typeof value !== 'function')
      throw wrongType(name, 'a function', value);
  }
  checkDefaults(options.endpointDefaults);
  if (logger !== undefined && !isLogger(logger)) {
    throw wrongType('logger', 'an object with debug, info, warn and error', logger);
  }
  return {
    ...flattenLimits(limits),
    ...http1,
    closeOverLimit: connectionLimitResponse === 'close',
    ...(addServerHeader === undefined ? {} : { addServerHeader }),
    ...(refusals === undefined ? {} : { refusals: toRefusalAnswers(refusals) }),
    busyPoll: busyPoll === 'adaptive' ? -1 : busyPoll === false ? 0 : toMicroseconds(busyPoll),
  };
}

const RATE_MEMBERS: ReadonlySet<string> = new Set(['bytesPerSecond', 'gracePeriod']);

const HTTP2_MEMBERS: ReadonlySet<string> = new Set([
  'maxStreamsPerConnection',
  'headerTableSize',
  'maxFrameSize',
  'maxRequestHeaderFieldSize',
  'initialConnectionWindowSize',
  'initialStreamWindowSize',
  'keepAlivePingDelay',
  'keepAlivePingTimeout',
  'settingsTimeout',
  'maxResets',
  'maxPings',
  'maxSettings',
  'maxPriorities',
  'maxEmptyFrames',
  'maxWindowUpdates',
  'maxUnknownFrames',
] satisfies (keyof Http2Limits)[]);

/** The core knows the members of a limit that is an object by names with a dot. */
function flattenLimits(limits: ServerLimits): Record<string, number | null | undefined> {
  const flat: Record<string, number | null | undefined> = {};
  for (const [name, value] of Object.entries(limits) as [string, unknown][]) {
    if (name === 'http2') {
      if (value === undefined) continue;
      requireObject('limits.http2', value);
      refuseUnknown(value as object, HTTP2_MEMBERS, 'limits.http2.');
      for (const [member, limit] of Object.entries(value as object) as [string, number | null][]) {
        flat[`http2.${member}`] = limit;
      }
    } else if (name !== 'minRequestBodyDataRate' && name !== 'minResponseDataRate') {
      flat[name] = value as number | null | undefined;
    } else if (value === null) {
      flat[`${name}.bytesPerSecond`] = null;
    } else if (value !== undefined) {
      if (typeof value !== 'object' || Array.isArray(value)) {
        throw wrongType(`limits.${name}`, 'an object or null', value);
      }
      refuseUnknown(value, RATE_MEMBERS, `limits.${name}.`);
      const { bytesPerSecond, gracePeriod } = value as MinDataRate;
      if (typeof bytesPerSecond !== 'number') {
        throw wrongType(`limits.${name}.bytesPerSecond`, 'a number', bytesPerSecond);
      }
      flat[`${name}.bytesPerSecond`] = bytesPerSecond;
      flat[`${name}.gracePeriod`] = gracePeriod;
    }
  }
  return flat;
}

/** The longest time to poll (µs). */
const BUSY_POLL_MAX = 1_000_000;

function toMicroseconds(busyPoll: number): number {
  if (Number.isInteger(busyPoll) && busyPoll >= 0 && busyPoll <= BUSY_POLL_MAX) return busyPoll;
  const expected = `'adaptive', false or a whole number from 0 to ${String(BUSY_POLL_MAX)}`;
  if (typeof busyPoll !== 'number') throw wrongType('busyPoll', expected, busyPoll);
  throw codedRangeError(CODE, `option 'busyPoll' must be ${expected}, not ${String(busyPoll)}`);
}
