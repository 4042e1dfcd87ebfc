/** Tables on the screen. */

import {
  countHeads,
  isDoubtful,
  megabytes,
  metricTitle,
  negotiatedLines,
  ratio,
  short,
} from './format.mjs';

/**
 * The table of one scenario.
 *
 * @param {import('../types.mjs').ScenarioReport} scenario
 * @returns {string}
 */
export function scenarioTable(scenario) {
  const idle = scenario.metrics[0] === 'bytes';
  const { cpu: cost, rate: count } = countHeads(scenario);
  const heads = idle
    ? ['bytes/conn', '±', 'RSS MB', 'idle CPU %']
    : [cost, '±', count, 'p50 µs', 'p99 µs', 'core %', 'RSS MB', 'idle CPU %'];
  const ratioHeads = scenario.metrics.map((metric) => `windhover ÷ (${metric})`);
  const rows = [['server', ...heads, ...ratioHeads]];
  const notes = [];
  for (const outcome of scenario.outcomes) {
    if (outcome.status !== 'ok') {
      notes.push(`  ${outcome.server}: ${outcome.status}: ${outcome.reason}`);
      continue;
    }
    const cells = idle ? idleCells(outcome) : loadCells(outcome);
    const ratios = scenario.metrics.map((metric) => {
      if (outcome.server === 'windhover') return '1';
      return ratio(scenario, outcome.server, metric)?.toFixed(2) ?? '–';
    });
    rows.push([`${outcome.server}${isDoubtful(outcome) ? ' (?)' : ''}`, ...cells, ...ratios]);
  }
  const { discarded, noisy } = countSlices(scenario);
  const doubt = scenario.outcomes.some(isDoubtful) ? '; (?): most of its slices are noisy' : '';
  const counts = `  ${discarded} slices discarded, ${noisy} kept though noisy${doubt}`;
  const head = `${scenario.name}: ${scenario.title} (${metricTitle(scenario, scenario.metrics[0])})`;
  notes.push(...negotiatedLines(scenario).map((line) => `  TLS of ${line}`));
  return [head, ...alignColumns(rows), ...notes, ...(idle ? [] : [counts])].join('\n');
}

/**
 * One line a scenario, one column a server: the first metric of each.
 *
 * @param {import('../types.mjs').Report} report
 */
export function summaryTable(report) {
  const servers = report.servers.filter((server) => server.reason === undefined);
  const rows = [['scenario', ...servers.map((server) => server.name)]];
  for (const scenario of report.scenarios) {
    for (const metric of scenario.metrics) {
      const cells = servers.map(({ name }) => {
        const outcome = scenario.outcomes.find(({ server }) => server === name);
        const value = outcome?.figures[metric]?.median;
        return value === undefined ? '–' : short(value);
      });
      rows.push([`${scenario.name} ${metric}`, ...cells]);
    }
  }
  return alignColumns(rows).join('\n');
}

/** @param {import('../types.mjs').Outcome} outcome */
function loadCells({ figures, idleCpu }) {
  const { cpu, rate, p50, p99, busy, rss } = figures;
  const time = (/** @type {import('../types.mjs').Figure | undefined} */ figure) =>
    figure === undefined ? '–' : short(figure.median);
  return [
    cpu === undefined ? '–' : cpu.median.toFixed(2),
    cpu === undefined ? '–' : cpu.deviation.toFixed(2),
    rate === undefined ? '–' : short(rate.median),
    time(p50),
    time(p99),
    busy === undefined ? '–' : (busy.median * 100).toFixed(0),
    megabytes(rss?.median),
    percent(idleCpu),
  ];
}

/** @param {import('../types.mjs').Outcome} outcome */
function idleCells({ figures, idleCpu }) {
  const { bytes, rss } = figures;
  return [
    bytes === undefined ? '–' : short(bytes.median),
    bytes === undefined ? '–' : short(bytes.deviation),
    megabytes(rss?.median),
    percent(idleCpu),
  ];
}

/** @param {number | undefined} cores */
function percent(cores) {
  return cores === undefined ? '–' : (cores * 100).toFixed(2);
}

/** @param {import('../types.mjs').ScenarioReport} scenario */
function countSlices({ outcomes }) {
  let discarded = 0;
  let noisy = 0;
  for (const outcome of outcomes) {
    discarded += outcome.discarded ?? 0;
    noisy += outcome.noisy ?? 0;
  }
  return { discarded, noisy };
}

/**
 * @param {readonly (readonly string[])[]} rows The first column to the left, others to the right.
 * @returns {string[]}
 */
function alignColumns(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    );
    return `  ${cells.join('  ')}`.trimEnd();
  });
}
