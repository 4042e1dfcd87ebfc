/** Has a native server listen on the endpoints of its options. */
import type { NativeServer } from '../../native/native-server.js';
import type { ConnectionHub } from './connection-hub.js';
import type { CheckedEndpoint } from './lane-endpoints.js';
import { findDescriptors, refuseSharedDescriptors } from './lane-endpoints.js';

/**
 * Listens on all of them, or throws.
 *
 * @throws The errors of WindhoverServer.start, whose messages begin with the endpoint's name.
 */
export function listenOnAll(
  native: NativeServer,
  hub: ConnectionHub,
  endpoints: readonly CheckedEndpoint[],
): void {
  const places = endpoints.flatMap((endpoint) =>
    findDescriptors(endpoint).map((lane) => ({ endpoint, lane })),
  );
  refuseSharedDescriptors(places.map(({ endpoint, lane }) => [endpoint.name, lane]));
  for (const { endpoint, lane } of places) {
    try {
      native.listen(lane);
    } catch (error) {
      if (error instanceof Error) error.message = `${endpoint.name}: ${error.message}`;
      throw error;
    }
    hub.addEndpoint(endpoint.use);
  }
}
