/**
 * What windhover promises, as ratios to peers in the same run and as limits of its own. Printed at
 * the end of every run for what was measured in it.
 */

import { isDoubtful, ratio, valueOf } from './report/format.mjs';

/**
 * @typedef {object} Target
 * @property {string} scenario
 * @property {import('./types.mjs').Metric | 'idle'} metric idle: cores used without any request.
 * @property {string} [peer] Left out: the limit is of the figure itself.
 * @property {number} most
 */

/**
 * Of handshakes it is what they cost that is compared: their client is slower than the servers, so that
 * handshakes per second would be the client's figure.
 *
 * @type {readonly Target[]}
 */
const targets = [
  { scenario: 'plaintext', metric: 'cpu', peer: 'uws', most: 1 },
  { scenario: 'plaintext', metric: 'cpu', peer: 'node', most: 0.5 },
  { scenario: 'plaintext', metric: 'cpu', peer: 'kestrel', most: 0.6 },
  { scenario: 'pipelined', metric: 'cpu', peer: 'uws', most: 0.65 },
  { scenario: 'pipelined', metric: 'cpu', peer: 'kestrel', most: 0.45 },
  { scenario: 'json', metric: 'cpu', peer: 'uws', most: 1 },
  { scenario: 'params-headers-pipelined', metric: 'cpu', peer: 'uws', most: 0.5 },
  { scenario: 'async', metric: 'cpu', peer: 'uws', most: 0.8 },
  { scenario: 'post', metric: 'cpu', peer: 'uws', most: 1 },
  { scenario: 'file-8m', metric: 'cpu', peer: 'node', most: 0.5 },
  { scenario: 'churn', metric: 'cpu', peer: 'uws', most: 0.85 },
  { scenario: 'plaintext-c1', metric: 'p50', peer: 'uws', most: 0.55 },
  { scenario: 'plaintext-c1', metric: 'p50', peer: 'kestrel', most: 0.55 },
  { scenario: 'plaintext-c1', metric: 'cpu', peer: 'uws', most: 1.05 },
  { scenario: 'plaintext-c1', metric: 'idle', most: 0.001 },
  { scenario: 'idle-memory', metric: 'bytes', most: 400 },
  { scenario: 'https', metric: 'cpu', peer: 'uws', most: 0.95 },
  { scenario: 'https', metric: 'cpu', peer: 'h2o', most: 1 },
  { scenario: 'https', metric: 'cpu', peer: 'kestrel', most: 0.5 },
  { scenario: 'handshake-full', metric: 'cpu', peer: 'nginx', most: 1 },
  { scenario: 'handshake-resumed', metric: 'cpu', peer: 'nginx', most: 1 },
  { scenario: 'h2', metric: 'cpu', peer: 'node', most: 0.1 },
  { scenario: 'h2', metric: 'cpu', peer: 'nginx', most: 0.2 },
  { scenario: 'h2', metric: 'cpu', peer: 'kestrel', most: 0.15 },
  { scenario: 'h2', metric: 'cpu', peer: 'h2o', most: 0.8 },
];

/**
 * @param {import('./types.mjs').Report} report
 * @returns {string[]} A line for each target that this run can tell about.
 */
export function checkTargets(report) {
  const lines = [];
  for (const target of targets) {
    const value = measured(report, target);
    if (value === undefined) continue;
    const { scenario, metric, peer, most } = target;
    const verdict = value <= most ? 'met   ' : 'MISSED';
    const what = peer === undefined ? metric : `${metric} ÷ ${peer}`;
    const figure = value >= 100 ? value.toFixed(0) : value.toFixed(value < 0.01 ? 4 : 2);
    const doubt = isUncertain(report, target) ? ', the machine was not quiet' : '';
    lines.push(`  ${verdict}  ${scenario} ${what}: ${figure} (at most ${most}${doubt})`);
  }
  return lines;
}

/**
 * @param {import('./types.mjs').Report} report
 * @param {Target} target
 * @returns {number | undefined} Undefined when it was not measured.
 */
function measured(report, { scenario: name, metric, peer }) {
  const scenario = report.scenarios.find((candidate) => candidate.name === name);
  const ours = scenario?.outcomes.find(({ server }) => server === 'windhover');
  if (scenario === undefined || ours === undefined) return undefined;
  if (metric === 'idle') return ours.idleCpu;
  return peer === undefined ? valueOf(ours, metric) : ratio(scenario, peer, metric);
}

/**
 * @param {import('./types.mjs').Report} report
 * @param {Target} target
 */
function isUncertain(report, { scenario: name, peer }) {
  const scenario = report.scenarios.find((candidate) => candidate.name === name);
  const outcomes = scenario?.outcomes ?? [];
  return outcomes.some(
    (outcome) => [peer, 'windhover'].includes(outcome.server) && isDoubtful(outcome),
  );
}
