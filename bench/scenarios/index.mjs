/** Every scenario, in the order of tables and pictures. A new file is added here. */

import bodies from './bodies.mjs';
import handlers from './handlers.mjs';
import hello from './hello.mjs';
import http2 from './http2.mjs';
import secure from './secure.mjs';

const busy = hello.filter((scenario) => scenario.load !== undefined && scenario.expect.keepAlive);
const other = hello.filter((scenario) => !busy.includes(scenario));

/** @type {import('../types.mjs').Scenario[]} */
export const scenarios = [...busy, ...handlers, ...bodies, ...other, ...secure, ...http2];
