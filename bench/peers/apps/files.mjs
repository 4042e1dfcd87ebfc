/** The files that servers of files send, by the names under which they are asked for. */

import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../.work/files', import.meta.url));

/** Bytes of each file. */
export const fileSizes = { small: 4 * 1024, large: 8 * 1024 * 1024 };

/**
 * Writes the files that are not there yet.
 *
 * @returns {string} The folder with the files `small` and `large`.
 */
export function makeFiles() {
  mkdirSync(folder, { recursive: true });
  for (const [name, size] of Object.entries(fileSizes)) {
    const file = path.join(folder, name);
    if (existsSync(file) && statSync(file).size === size) continue;
    const own = `${file}.${process.pid}`;
    writeFileSync(own, Buffer.alloc(size, 'x'));
    renameSync(own, file); // never half a file under the name
  }
  return folder;
}

/** @param {string} target `/file/small` or `/file/large`. */
export function filePath(target) {
  return path.join(folder, path.basename(target));
}
