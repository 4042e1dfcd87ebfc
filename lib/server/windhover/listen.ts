/** Has a native server listen on the endpoints of its options. */
import type { LaneEndpoint } from '../../native/addon.js';
import type { NativeServer } from '../../native/native-server.js';
import type { ConnectionHub } from './connection-hub.js';
import type { CheckedEndpoint } from './lane-endpoints.js';
import type { TlsEndpoints } from './tls-endpoints.js';
import { findDescriptors, refuseSharedDescriptors } from './lane-endpoints.js';

/**
 * Listens on all of them, or throws.
 *
 * @throws The errors of WindhoverServer.start, whose messages begin with the endpoint's name.
 */
export function listenOnAll(
  native: NativeServer,
  hub: ConnectionHub,
  tls: TlsEndpoints,
  endpoints: readonly CheckedEndpoint[],
): void {
  const places = endpoints.flatMap((endpoint) =>
    findDescriptors(endpoint).map((lane) => ({ endpoint, lane })),
  );
  refuseSharedDescriptors(places.map(({ endpoint, lane }) => [endpoint.name, lane]));
  const listen = (lane: LaneEndpoint): void => {
    native.listen(lane);
  };
  for (const [i, { endpoint, lane }] of places.entries()) {
    const { name, https, use } = endpoint;
    try {
      if (https === undefined) listen(lane);
      else tls.open(i, https, lane, listen);
    } catch (error) {
      if (error instanceof Error && !error.message.includes(name)) {
        error.message = `${name}: ${error.message}`;
      }
      throw error;
    }
    hub.addEndpoint(use);
  }
}
