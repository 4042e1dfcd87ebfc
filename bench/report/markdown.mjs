/** The tables of a report for a README. */

import { machineLine, metricTitle, short, valueOf, versionsLine } from './format.mjs';

/**
 * @param {import('../types.mjs').Report} report
 * @returns {string}
 */
export function toMarkdown(report) {
  const servers = report.servers.filter(({ name }) => ran(report, name));
  const lines = [
    `| | ${servers.map((server) => server.title).join(' | ')} |`,
    `|---|${servers.map(() => '---:').join('|')}|`,
  ];
  for (const scenario of report.scenarios) {
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
      lines.push(`| ${scenario.title}, ${metricTitle[metric]} | ${cells.join(' | ')} |`);
    }
  }
  lines.push('', `${machineLine(report)}. ${versionsLine(report)}.`);
  for (const server of report.servers) {
    if (server.reason !== undefined)
      lines.push('', `${server.title} did not run: ${server.reason}.`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * @param {import('../types.mjs').Report} report
 * @param {string} name
 */
function ran(report, name) {
  return report.scenarios.some(({ outcomes }) =>
    outcomes.some(({ server, status }) => server === name && status === 'ok'),
  );
}
