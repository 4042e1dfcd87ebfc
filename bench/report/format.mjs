/** Numbers and words that tables, pictures and pages share. */

/** What each metric is called. @type {Readonly<Record<string, string>>} */
const metricTitles = {
  cpu: 'CPU µs per request',
  p50: 'latency p50, µs',
  bytes: 'bytes per connection',
};

/**
 * @param {import('../types.mjs').ScenarioReport} scenario
 * @param {import('../types.mjs').Metric} metric
 */
export function metricTitle({ handshake }, metric) {
  if (handshake !== undefined && metric === 'cpu') return 'CPU µs per handshake';
  return metricTitles[metric];
}

/**
 * What a scenario counts, in the heads of columns.
 *
 * @param {import('../types.mjs').ScenarioReport} scenario
 */
export function countHeads({ handshake }) {
  return handshake === undefined
    ? { cpu: 'CPU µs/req', rate: 'req/s' }
    : { cpu: 'CPU µs/handshake', rate: 'handshakes/s' };
}

/**
 * The scenarios of a report in the order and groups of tables and pictures.
 *
 * @param {import('../types.mjs').Report} report
 */
export function groupsOf({ scenarios }) {
  const plain = scenarios.filter(({ protocol }) => protocol === undefined);
  const other = scenarios.filter((scenario) => !plain.includes(scenario));
  return [
    { title: 'HTTP/1.1 in cleartext', scenarios: plain },
    { title: 'TLS and HTTP/2', scenarios: other },
  ].filter((group) => group.scenarios.length > 0);
}

/**
 * What the connections of a scenario agreed upon.
 *
 * @param {import('../types.mjs').ScenarioReport} scenario
 * @returns {string[]} A line where all servers agreed on the same, else one for each; none in cleartext.
 */
export function negotiatedLines({ outcomes }) {
  const secure = outcomes.filter(({ negotiated }) => negotiated !== undefined);
  const kinds = new Set(secure.map(({ negotiated }) => negotiated));
  if (kinds.size <= 1) return [...kinds].map((kind) => `all: ${kind}`);
  return secure.map(({ server, negotiated }) => `${server}: ${negotiated}`);
}

/**
 * What the connections of all scenarios agreed upon, for a line below tables.
 *
 * @param {import('../types.mjs').Report} report
 * @returns {string | undefined} Undefined when all was in cleartext.
 */
export function negotiatedLine({ scenarios }) {
  const lines = new Set(scenarios.flatMap(negotiatedLines));
  return lines.size === 0 ? undefined : `TLS of ${[...lines].join(', ')}`;
}

/**
 * Three significant digits, never fewer than the whole number.
 *
 * @param {number} value
 * @returns {string}
 */
export function short(value) {
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** @param {number | undefined} bytes */
export function megabytes(bytes) {
  return bytes === undefined ? '–' : (bytes / 1e6).toFixed(1);
}

/**
 * The figure by which servers are ranked.
 *
 * @param {import('../types.mjs').Outcome} outcome
 * @param {import('../types.mjs').Metric} metric
 * @returns {number | undefined}
 */
export function valueOf(outcome, metric) {
  return outcome.status === 'ok' ? outcome.figures[metric]?.median : undefined;
}

/**
 * Whether the figures of an outcome had to be taken from slices on a machine that was not quiet.
 *
 * @param {import('../types.mjs').Outcome} outcome
 */
export function isDoubtful({ noisy = 0, slices = [] }) {
  return noisy * 2 > slices.length;
}

/**
 * windhover divided by a peer.
 *
 * @param {import('../types.mjs').ScenarioReport} scenario
 * @param {string} peer
 * @param {import('../types.mjs').Metric} metric
 * @returns {number | undefined} Undefined when one of them has no figure.
 */
export function ratio(scenario, peer, metric) {
  const find = (/** @type {string} */ name) => {
    const outcome = scenario.outcomes.find(({ server }) => server === name);
    return outcome === undefined ? undefined : valueOf(outcome, metric);
  };
  const ours = find('windhover');
  const theirs = find(peer);
  if (ours === undefined || theirs === undefined || theirs <= 0) return undefined;
  return ours / theirs;
}

/**
 * The first machine line of a report.
 *
 * @param {import('../types.mjs').Report} report
 */
export function machineLine(report) {
  const { machine, date } = report;
  const parts = [machine.processor, `${machine.cores} cores`, machine.kernel, machine.system];
  return `${parts.join(' · ')} · ${date.slice(0, 10)}`;
}

/**
 * @param {import('../types.mjs').Report} report
 * @returns {string} Every server that ran with its version.
 */
export function versionsLine(report) {
  const ran = report.servers.filter((server) => server.version !== undefined);
  return ran.map((server) => `${server.title} ${server.version}`).join(' · ');
}

/**
 * @param {string} text
 * @returns {string} Safe in XML and HTML.
 */
export function escapeMarkup(text) {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
