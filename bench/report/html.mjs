/** The page: the picture, the tables behind it, and what ran with which version. */

import {
  countHeads,
  escapeMarkup,
  machineLine,
  megabytes,
  metricTitle,
  negotiatedLine,
  ratio,
  short,
  versionsLine,
} from './format.mjs';
import { toSvg } from './svg.mjs';

/**
 * @param {import('../types.mjs').Report} report
 * @returns {string}
 */
export function toHtml(report) {
  const { settings, tools } = report;
  const used = Object.entries({ ...tools, ...settings }).map(([name, value]) => `${name} ${value}`);
  const absent = report.servers.filter((server) => server.reason !== undefined);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>windhover: load harness</title>
<style>${style}</style>
</head>
<body>
<figure>${toSvg(report)}</figure>
<p>${escapeMarkup(machineLine(report))}<br>${escapeMarkup(versionsLine(report))}<br>
${escapeMarkup([...used, negotiatedLine(report) ?? 'no TLS'].join(' · '))}</p>
${absent.map((server) => `<p>${escapeMarkup(`${server.title} did not run: ${server.reason}`)}</p>`).join('\n')}
${report.scenarios.map(scenarioSection).join('\n')}
</body>
</html>
`;
}

const style = `
body { font: 15px/1.5 ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
  max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
figure { margin: 0; } svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.2rem 0.6rem; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.4rem; } .reason { text-align: left; opacity: 0.7; }
`;

/** @param {import('../types.mjs').ScenarioReport} scenario */
function scenarioSection(scenario) {
  const [metric] = scenario.metrics;
  const { cpu: cost, rate: count } = countHeads(scenario);
  const heads = [cost, count, 'p50 µs', 'p99 µs', 'RSS MB', 'bytes/connection'];
  const rows = scenario.outcomes.map((outcome) => {
    const name = `<td>${escapeMarkup(outcome.title ?? outcome.server)}</td>`;
    if (outcome.status !== 'ok') {
      const reason = escapeMarkup(`${outcome.status}: ${outcome.reason}`);
      return `<tr>${name}<td class="reason" colspan="${heads.length + 1}">${reason}</td></tr>`;
    }
    const { cpu, rate, p50, p99, rss, bytes } = outcome.figures;
    const share = ratio(scenario, outcome.server, metric);
    const cells = [
      ...[cpu, rate, p50, p99].map((figure) => (figure === undefined ? '–' : short(figure.median))),
      megabytes(rss?.median),
      bytes === undefined ? '–' : short(bytes.median),
      share === undefined ? '–' : share.toFixed(2),
    ];
    return `<tr>${name}${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const head = ['server', ...heads, `windhover ÷ (${metric})`].map((text) => `<th>${text}</th>`);
  return `<h2>${escapeMarkup(scenario.title)} <small>${escapeMarkup(metricTitle(scenario, metric))}</small></h2>
<table><tr>${head.join('')}</tr>
${rows.join('\n')}
</table>`;
}
