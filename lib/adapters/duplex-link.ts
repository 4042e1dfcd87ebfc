/** Any stream as what carries the bytes of an UpgradedSocket: for servers other than this package's. */
import type { Duplex } from 'node:stream';
import type { SocketLink, UpgradedSocket } from '../http/upgraded-socket.js';

/** Joins a stream to a socket. */
export function linkTo(stream: Duplex, socket: UpgradedSocket): SocketLink {
  stream.pause();
  stream.on('data', (data: Uint8Array) => {
    if (!socket._receive(data)) stream.pause();
  });
  stream.on('end', () => {
    if (!socket.destroyed) socket._receiveEnd();
  });
  stream.on('error', (error) => {
    socket.destroy(error);
  });
  stream.on('close', () => {
    socket.destroy();
  });
  stream.on('closing', () => {
    socket._tellStopping();
  });
  return {
    ends: () => [undefined, undefined, undefined, undefined],
    write: (data, done) => {
      stream.write(data, done);
    },
    end: () => {
      stream.end();
    },
    read: (on) => {
      if (on) stream.resume();
      else stream.pause();
    },
    close: (reset) => {
      const { resetAndDestroy } = stream as { resetAndDestroy?: () => void };
      if (reset && resetAndDestroy !== undefined) resetAndDestroy.call(stream);
      else stream.destroy();
    },
  };
}
