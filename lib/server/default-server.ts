/** Which server there is where nobody has chosen one: the core's, or Node's where no binary loads. */
import { codedRangeError } from '../http/errors.js';
import { getAddon } from '../native/addon.js';
import { NodeHttpServer } from './node-http-server.js';
import type { ServerOptions } from './options.js';
import { WindhoverServer } from './windhover-server.js';

/** A server that nobody has chosen. Where it matters which, ask `server instanceof WindhoverServer`. */
export type DefaultServer = WindhoverServer | NodeHttpServer;

/** A server by name: the one on the native core, or the one on Node's own HTTP. */
export type ServerName = 'windhover' | 'node';

let isWarned = false;

/**
 * Makes a server: the one that was named, by argument or else by WINDHOVER_SERVER; otherwise a
 * WindhoverServer, or, where its binary does not load, a NodeHttpServer, which a warning tells once
 * (WH_WARN_NO_BINARY).
 *
 * @throws As the servers' constructors do; RangeError WH_ERR_INVALID_SERVER for another name; where
 * `windhover` was named, what kept the binary from being loaded.
 */
export function makeDefaultServer(options: ServerOptions, name?: ServerName): DefaultServer {
  const variable = process.env['WINDHOVER_SERVER'];
  const chosen = name ?? (variable === '' ? undefined : variable);
  switch (chosen) {
    case 'node':
      return new NodeHttpServer(options);
    case 'windhover':
      return new WindhoverServer(options);
    case undefined:
      return hasBinary() ? new WindhoverServer(options) : new NodeHttpServer(options);
    default: {
      const where = name === undefined ? 'The environment variable WINDHOVER_SERVER' : 'server';
      const text = `${where} must be 'windhover' or 'node', not ${JSON.stringify(chosen)}`;
      throw codedRangeError('WH_ERR_INVALID_SERVER', text);
    }
  }
}

/** Whether the core's binary loads; warns where it does not. */
function hasBinary(): boolean {
  try {
    getAddon();
    return true;
  } catch (error) {
    if (!isWarned) {
      isWarned = true;
      const why = error instanceof Error ? error.message : String(error);
      process.emitWarning(
        `windhover's binary does not load, so requests are served by Node's own HTTP (NodeHttpServer), which is slower: ${why}`,
        {
          code: 'WH_WARN_NO_BINARY',
          detail:
            'WINDHOVER_SERVER=node chooses that server without this warning; WINDHOVER_SERVER=windhover makes it an error.',
        },
      );
    }
    return false;
  }
}
