/** Which server an application runs on unless told otherwise. */
import type { DefaultServer } from '../server/default-server.js';
import { makeDefaultServer } from '../server/default-server.js';
import type { ServerOptions } from '../server/options.js';
import type { Server } from '../server/server.js';

/** Makes a server. */
export type ServerFactory = (options: ServerOptions) => Server;

/** Makes the server of {@link makeDefaultServer}. */
export const createDefaultServer = (options: ServerOptions): DefaultServer =>
  makeDefaultServer(options);
