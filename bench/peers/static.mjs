/** What the servers of static content (nginx, h2o) have in common: files and reasons. */

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { hello, makeLarge } from './apps/shared.mjs';

const noHandlers = 'it runs no handlers: an answer from its configuration is not the same work';

/** Why a server of static content is not in a scenario. */
export const cannot = {
  json: noHandlers,
  user: noHandlers,
  async: noHandlers,
  echo: noHandlers,
  upload: noHandlers,
  unary: noHandlers,
};

export const can = /** @type {const} */ (['hello', 'large', 'refuse', 'https', 'h2', 'h2c']);

/**
 * @param {string} folder
 * @returns {string} A folder inside with the files `plaintext` and `large`.
 */
export function writeFiles(folder) {
  const files = path.join(folder, 'files');
  mkdirSync(files, { recursive: true });
  writeFileSync(path.join(files, 'plaintext'), hello);
  writeFileSync(path.join(files, 'large'), makeLarge());
  return files;
}

/** Whether this process may choose the user that a server runs as. */
export function isRoot() {
  return process.getuid?.() === 0;
}
