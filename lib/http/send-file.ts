/** Sending a file through a server that cannot have the system do it: read and written piece by piece. */
import { Buffer } from 'node:buffer';
import type { PathLike } from 'node:fs';
import { close, read } from 'node:fs';
import type { HttpResponseBodyFeature, HttpResponseFeature } from '../features/http-features.js';
import { checkFilePart, fileTruncated, fileUnreadable, openFilePart } from './file-part.js';

/** How much is read at once (bytes). */
const PIECE = 65_536;

/** Whether an answer with that status has no body. Source: RFC 9110 section 6.4.1. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

/**
 * What HttpResponse.sendFile does, for servers without HttpResponseBodyFeature.sendFile.
 *
 * @throws As HttpResponse.sendFile.
 */
export function sendFileByParts(
  head: HttpResponseFeature,
  body: HttpResponseBodyFeature,
  path: PathLike,
  offset: number,
  count: number | undefined,
): Promise<void> {
  checkFilePart(path, offset, count);
  return readAndWrite(head, body, path, offset, count);
}

async function readAndWrite(
  head: HttpResponseFeature,
  body: HttpResponseBodyFeature,
  path: PathLike,
  offset: number,
  count: number | undefined,
): Promise<void> {
  const part = await openFilePart(path, offset, count);
  try {
    if (!head.hasStarted && !head.headers.has('Content-Length') && !isBodiless(head.statusCode)) {
      head.headers.set('Content-Length', part.count);
    }
    await body.start();
    for (let done = 0; done < part.count;) {
      const wanted = Math.min(PIECE, part.count - done);
      const piece = await readPiece(part.descriptor, part.offset + done, wanted, path);
      if (piece.byteLength === 0) throw fileTruncated(path);
      await body.write(piece);
      done += piece.byteLength;
    }
  } finally {
    close(part.descriptor);
  }
}

function readPiece(
  descriptor: number,
  position: number,
  length: number,
  path: PathLike,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    // A buffer of its own each time: what was written may still be on its way.
    read(descriptor, Buffer.allocUnsafeSlow(length), 0, length, position, (error, got, buffer) => {
      if (error !== null) reject(fileUnreadable(path, error));
      else resolve(buffer.subarray(0, got));
    });
  });
}
