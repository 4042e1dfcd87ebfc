/** What the servers of this package make of what they are given. */
import { invalidArgument } from '../http/errors.js';
import type { ServerOptions } from './options.js';
import { checkEndpoint, type CheckedEndpoint } from './windhover/lane-endpoints.js';

/** Where a server listens that was not told. Source: Kestrel. */
const DEFAULT_URL = 'http://localhost:5000';

/**
 * The endpoints of the options.
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION
 */
export function checkEndpoints({
  endpoints = [],
  endpointDefaults,
}: ServerOptions): CheckedEndpoint[] {
  return endpoints.map((endpoint, i) =>
    checkEndpoint(endpoint, `endpoints[${String(i)}]`, endpointDefaults),
  );
}

/** The endpoints, or else the addresses that were asked for, or else the default. */
export function chooseEndpoints(
  endpoints: readonly CheckedEndpoint[],
  addresses: readonly string[],
  { endpointDefaults }: ServerOptions,
): readonly CheckedEndpoint[] {
  if (endpoints.length > 0) return endpoints;
  const urls = addresses.length > 0 ? addresses : [DEFAULT_URL];
  return urls.map((url, i) => checkEndpoint({ url }, `addresses[${String(i)}]`, endpointDefaults));
}

export function requireApplication(application: unknown): void {
  for (const name of ['createContext', 'processRequest', 'disposeContext']) {
    if (typeof (application as Record<string, unknown> | null | undefined)?.[name] === 'function') {
      continue;
    }
    throw invalidArgument('application', `an HttpApplication with ${name}()`, application);
  }
}

export function requireSignal(signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function') return;
  throw invalidArgument('signal', 'an AbortSignal', signal);
}

/**
 * Waits for the end of a stop.
 *
 * @param force - Ends the stop's own waiting; called when the signal aborts.
 */
export async function untilStopped(
  stopped: Promise<void>,
  signal: AbortSignal | undefined,
  force: () => void,
): Promise<void> {
  if (signal === undefined) {
    await stopped;
    return;
  }
  if (signal.aborted) force();
  signal.addEventListener('abort', force);
  try {
    await stopped;
  } finally {
    signal.removeEventListener('abort', force);
  }
}
