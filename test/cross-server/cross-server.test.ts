/** One application, several servers, one suite: every case on every server. */
import test from 'ava';
import { within } from '../support/until.js';
import { bodyCases } from './body-cases.js';
import { endCases } from './end-cases.js';
import { http2Cases } from './http2-cases.js';
import { httpsCases } from './https-cases.js';
import { requestCases } from './request-cases.js';
import { responseCases } from './response-cases.js';
import { servers } from './servers.js';
import { upgradeCases } from './upgrade-cases.js';

const cases = [
  ...requestCases,
  ...bodyCases,
  ...responseCases,
  ...endCases,
  ...upgradeCases,
  ...httpsCases,
  ...http2Cases,
];

for (const { name: server, start, differences } of servers) {
  for (const { name, setup = {}, alone = false, run } of cases) {
    const kind = alone ? test.serial : test;
    const declare = name in differences ? kind.failing : kind;
    declare(`${server}: ${name}`, async (t) => {
      const asked = typeof setup === 'function' ? setup() : setup;
      await within(run(t, await start(t, asked)), `the end of: ${name}`, 30_000);
    });
  }

  test(`${server}: every difference names a case`, (t) => {
    const names = cases.map(({ name }) => name);
    t.deepEqual(
      Object.keys(differences).filter((name) => !names.includes(name)),
      [],
    );
    t.is(new Set(names).size, names.length);
  });
}
