/** Where an application listens, of all the places that may say it. */
import { codedRangeError } from '../http/errors.js';
import type { EndpointOptions } from '../server/options.js';
import type { Variables } from './host-environment.js';
import { nonEmpty, readArgument } from './host-environment.js';

/** Where an application listens if nobody says anything. Source: Kestrel. */
export const DEFAULT_URL = 'http://localhost:5000';

/** The largest TCP port. */
const PORT_MAX = 65_535;

/** The places that may say it, the strongest first. */
export interface AddressSources {
  /** `builder.server.listen(...)` and `builder.server.endpoints`. */
  readonly endpoints: readonly EndpointOptions[];
  /** `app.urls`. */
  readonly urls: Iterable<string>;
  /** The command line, for `--urls`. */
  readonly args: readonly string[];
  /** The environment, for WINDHOVER_URLS and PORT. */
  readonly variables: Variables;
  /** The setting `urls` of the application's configuration. */
  readonly configured?: readonly string[];
}

/** What was chosen. */
export interface ChosenEndpoints {
  readonly endpoints: readonly EndpointOptions[];
  /** URLs that were asked for in code or on the command line, but must yield to endpoints. */
  readonly ignoredUrls: readonly string[];
}

/**
 * Chooses: endpoints, else `app.urls`, else `--urls`, else WINDHOVER_URLS, else the configuration's `urls`,
 * else PORT (on every address), else {@link DEFAULT_URL}. Lists of URLs are divided by semicolons. Source: Kestrel; PORT is what
 * platforms for Node programs set.
 *
 * @throws RangeError WH_ERR_INVALID_PORT where PORT is needed and no port; RangeError
 * WH_ERR_ADDRESS_INVALID where a list of URLs is not empty and has none.
 */
export function chooseEndpoints(sources: AddressSources): ChosenEndpoints {
  const inCode = [...sources.urls];
  const onCommandLine = splitUrls('--urls', readArgument(sources.args, 'urls'));
  if (sources.endpoints.length > 0) {
    return { endpoints: sources.endpoints, ignoredUrls: [...inCode, ...onCommandLine] };
  }
  const configured = (sources.configured ?? []).flatMap((list) => splitUrls('urls', list));
  const inVariable = splitUrls('WINDHOVER_URLS', sources.variables['WINDHOVER_URLS']);
  const urls = [inCode, onCommandLine, inVariable, configured].find(
    (candidates) => candidates.length > 0,
  ) ?? [urlOfPort(nonEmpty(sources.variables['PORT'])) ?? DEFAULT_URL];
  return { endpoints: urls.map((url) => ({ url })), ignoredUrls: [] };
}

/** The URLs of a list. A list of nothing but blanks and semicolons is a mistake, not the default address. */
function splitUrls(name: string, list: string | undefined): string[] {
  if (list === undefined || list === '') return [];
  const urls = list
    .split(';')
    .map((url) => url.trim())
    .filter((url) => url !== '');
  if (urls.length > 0) return urls;
  throw codedRangeError('WH_ERR_ADDRESS_INVALID', `${name} has no URL in ${JSON.stringify(list)}`);
}

function urlOfPort(port: string | undefined): string | undefined {
  if (port === undefined) return undefined;
  const number = Number(port);
  if (!/^[0-9]+$/.test(port) || number > PORT_MAX) {
    throw codedRangeError(
      'WH_ERR_INVALID_PORT',
      `The environment variable PORT must be 0 to ${String(PORT_MAX)}, not ${JSON.stringify(port)}`,
    );
  }
  return `http://*:${String(number)}`;
}
