/** The packages of bench/peers: where they are and which versions they have. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const peersFolder = path.dirname(fileURLToPath(import.meta.url));

/** Routes of a server that runs handlers of its own. */
export const everyRoute = /** @type {const} */ ([
  'hello',
  'json',
  'user',
  'async',
  'echo',
  'upload',
  'large',
]);

/**
 * @param {string} name The application of a peer.
 * @returns {string} Its file in bench/peers/apps.
 */
export function appFile(name) {
  return path.join(peersFolder, 'apps', `${name}.mjs`);
}

/**
 * @param {import('../types.mjs').Launch} launch
 * @returns {string[]} What every application is started with: port, route, protocol, and for TLS the
 *   files of certificate and key.
 */
export function appArguments({ port, scenario, certificate }) {
  const { route, protocol = 'http' } = scenario;
  const files = certificate === null ? [] : [certificate.cert, certificate.key];
  return [String(port), route, protocol, ...files];
}

/**
 * @param {string} name
 * @param {readonly string[]} [inside]
 * @returns {string} A file of an installed package.
 * @throws {Error} When it is not there: the reason why a peer cannot run.
 */
export function packageFile(name, inside = ['package.json']) {
  const file = path.join(peersFolder, 'node_modules', name, ...inside);
  if (!existsSync(file)) throw new Error(`${path.join(name, ...inside)} is not installed`);
  return file;
}

/**
 * @param {string} name
 * @returns {string}
 */
export function packageVersion(name) {
  return JSON.parse(readFileSync(packageFile(name), 'utf8')).version;
}

const standsOnOther = 'its TLS and HTTP/2 are those of the server that it stands on';

/**
 * A peer that is an application in bench/peers/apps, run by this Node.
 *
 * @param {Pick<import('../types.mjs').Peer, 'name' | 'title'> & Partial<import('../types.mjs').Peer>
 *   & { packages: readonly string[] }} peer packages: the first one's version is told.
 * @returns {import('../types.mjs').Peer}
 */
export function nodePeer({ packages, ...peer }) {
  return {
    can: [...everyRoute, 'refuse'],
    cannot: { https: standsOnOther, h2: standsOnOther, h2c: standsOnOther },
    prepare: async () => packages.forEach((name) => void packageFile(name)),
    version: async () => packageVersion(packages[0]),
    command: (launch) => ({
      file: process.execPath,
      args: [appFile(peer.name), ...appArguments(launch)],
    }),
    ...peer,
  };
}
