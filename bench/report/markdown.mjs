/** The tables of a report for a README. */

import {
  groupsOf,
  machineLine,
  metricTitle,
  negotiatedLine,
  short,
  valueOf,
  versionsLine,
} from './format.mjs';

/**
 * @param {import('../types.mjs').Report} report
 * @returns {string}
 */
export function toMarkdown(report) {
  const groups = groupsOf(report);
  const lines = groups.flatMap(({ title, scenarios }) => [
    ...(groups.length > 1 ? [`**${title}**`, ''] : []),
    ...table(report, scenarios),
    '',
  ]);
  lines.push(`${machineLine(report)}. ${versionsLine(report)}.`);
  const tls = negotiatedLine(report);
  if (tls !== undefined) lines.push('', `${tls}.`);
  for (const server of report.servers) {
    if (server.reason !== undefined)
      lines.push('', `${server.title} did not run: ${server.reason}.`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * @param {import('../types.mjs').Report} report
 * @param {readonly import('../types.mjs').ScenarioReport[]} scenarios
 * @returns {string[]}
 */
function table(report, scenarios) {
  const servers = report.servers.filter(({ name }) => ran(scenarios, name));
  const lines = [
    `| | ${servers.map((server) => titleIn(scenarios, server)).join(' | ')} |`,
    `|---|${servers.map(() => '---:').join('|')}|`,
  ];
  for (const scenario of scenarios) {
    for (const metric of scenario.metrics) {
      const values = servers.map(({ name }) => {
        const outcome = scenario.outcomes.find(({ server }) => server === name);
        return outcome === undefined ? undefined : valueOf(outcome, metric);
      });
      const best = Math.min(...values.filter((value) => value !== undefined));
      const cells = values.map((value) => {
        if (value === undefined) return '–';
        return value === best ? `**${short(value)}**` : short(value);
      });
      const title = `${scenario.title}, ${metricTitle(scenario, metric)}`;
      lines.push(`| ${title} | ${cells.join(' | ')} |`);
    }
  }
  return lines;
}

/**
 * @param {readonly import('../types.mjs').ScenarioReport[]} scenarios
 * @param {import('../types.mjs').ServerNote} server
 * @returns {string} All that it was called in these scenarios.
 */
function titleIn(scenarios, { name, title }) {
  const outcomes = scenarios.flatMap((scenario) => scenario.outcomes);
  const used = outcomes.filter(({ server, status }) => server === name && status === 'ok');
  return [...new Set(used.map((outcome) => outcome.title ?? title))].join(' / ');
}

/**
 * @param {readonly import('../types.mjs').ScenarioReport[]} scenarios
 * @param {string} name
 */
function ran(scenarios, name) {
  return scenarios.some(({ outcomes }) =>
    outcomes.some(({ server, status }) => server === name && status === 'ok'),
  );
}
