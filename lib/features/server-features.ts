/** The features of a server, as opposed to those of a request. */
import { createFeatureToken } from './feature-collection.js';

/** Where a server listens. */
export interface ServerAddressesFeature {
  /**
   * Before the start: the URLs asked for. After it: the URLs really bound, with the ports that the
   * system chose, such as `http://127.0.0.1:49152`, `http://[::]:5000` or `http://unix:/run/app.sock`.
   */
  readonly addresses: string[];
}
export const ServerAddressesFeature =
  createFeatureToken<ServerAddressesFeature>('ServerAddressesFeature');
