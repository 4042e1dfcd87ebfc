/** Which server an application runs on unless told otherwise. */
import type { ServerOptions } from '../server/options.js';
import type { Server } from '../server/server.js';
import { WindhoverServer } from '../server/windhover-server.js';

/** Makes a server. */
export type ServerFactory = (options: ServerOptions) => Server;

/** Makes a WindhoverServer. */
export const createDefaultServer = (options: ServerOptions): WindhoverServer =>
  new WindhoverServer(options);
