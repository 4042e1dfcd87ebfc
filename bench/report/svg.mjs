/**
 * The picture: one panel of bars a scenario, the best server on top, windhover in its own colour.
 * It has its own background and follows the viewer's preference for dark ones.
 */

import { escapeMarkup, groupsOf, machineLine, metricTitle, short, valueOf } from './format.mjs';

/** Sizes in pixels of the picture. */
const width = 1080;
const columns = 3;
const margin = 28;
const gap = 30;
const panelWidth = (width - 2 * margin - (columns - 1) * gap) / columns;
const rowHeight = 20;
const barHeight = 12;
const headHeight = 46;
const labelWidth = 112;
const valueWidth = 52;
const top = 92;
const groupHeight = 34;

/**
 * @param {import('../types.mjs').Report} report
 * @returns {string}
 */
export function toSvg(report) {
  const titles = new Map(report.servers.map(({ name, title }) => [name, title]));
  const groups = groupsOf(report);
  let y = top;
  /** @type {string[]} */
  const parts = [];
  for (const { title, scenarios } of groups) {
    const panels = scenarios.flatMap((scenario) =>
      scenario.metrics.map((metric) => ({
        title: scenario.title,
        metric: metricTitle(scenario, metric),
        bars: barsOf(scenario, metric, titles),
      })),
    );
    const drawn = panels.filter((panel) => panel.bars.length > 0);
    if (drawn.length === 0) continue;
    if (groups.length > 1) {
      parts.push(`<text class="group" x="${margin}" y="${y + 16}">${escapeMarkup(title)}</text>`);
      y += groupHeight;
    }
    for (let first = 0; first < drawn.length; first += columns) {
      const row = drawn.slice(first, first + columns);
      row.forEach((panel, index) => {
        parts.push(drawPanel(panel, margin + index * (panelWidth + gap), y));
      });
      y += headHeight + Math.max(...row.map((panel) => panel.bars.length)) * rowHeight + 22;
    }
  }
  const height = y + 8;
  const foot = escapeMarkup(machineLine(report));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}"
  width="${width}" height="${height}" role="img"
  aria-label="windhover and other servers, side by side; shorter bars are better">
<style>${style}</style>
<rect class="paper" width="${width}" height="${height}" rx="10"/>
<text class="title" x="${margin}" y="40">windhover and its peers</text>
<text class="note" x="${margin}" y="64">One core for the server, one for the load; medians of
 one-second slices in turn. Shorter is better.</text>
<text class="note" x="${width - margin}" y="40" text-anchor="end">${foot}</text>
${parts.join('\n')}
</svg>
`;
}

const style = `
text { font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
  font-size: 13px; fill: #1f2328; }
.paper { fill: #ffffff; stroke: #d1d9e0; }
.title { font-size: 22px; font-weight: 600; }
.group { font-size: 17px; font-weight: 600; }
.head { font-size: 14px; font-weight: 600; }
.note { font-size: 12px; fill: #59636e; }
.value { font-variant-numeric: tabular-nums; }
.bar { fill: #b3bdc9; }
.ours .bar { fill: #d9622b; }
.ours text { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .paper { fill: #0d1117; stroke: #3d444d; }
  .note { fill: #9198a1; }
  .bar { fill: #4a5461; }
  .ours .bar { fill: #f0803c; }
}
`;

/**
 * @typedef {{ name: string, title: string, value: number }} Bar
 */

/**
 * @param {import('../types.mjs').ScenarioReport} scenario
 * @param {import('../types.mjs').Metric} metric
 * @param {ReadonlyMap<string, string>} titles
 * @returns {Bar[]} The best first.
 */
function barsOf(scenario, metric, titles) {
  /** @type {Bar[]} */
  const bars = [];
  for (const outcome of scenario.outcomes) {
    const value = valueOf(outcome, metric);
    const name = outcome.server;
    const title = outcome.title ?? titles.get(name) ?? name;
    if (value !== undefined) bars.push({ name, title, value });
  }
  return bars.sort((a, b) => a.value - b.value);
}

/**
 * @param {{ title: string, metric: string, bars: readonly Bar[] }} panel
 * @param {number} x
 * @param {number} y
 */
function drawPanel({ title, metric, bars }, x, y) {
  const room = panelWidth - labelWidth - valueWidth;
  const longest = Math.max(...bars.map((bar) => bar.value), Number.MIN_VALUE);
  const lines = [
    `<text class="head" x="${round(x)}" y="${y + 14}">${escapeMarkup(title)}</text>`,
    `<text class="note" x="${round(x)}" y="${y + 32}">${escapeMarkup(metric)}</text>`,
  ];
  bars.forEach((bar, index) => {
    const middle = y + headHeight + index * rowHeight + rowHeight / 2;
    const length = Math.max(1.5, (Math.max(bar.value, 0) / longest) * room);
    const start = x + labelWidth;
    lines.push(
      `<g${bar.name === 'windhover' ? ' class="ours"' : ''}>`,
      `<text x="${round(start - 8)}" y="${middle + 4}" text-anchor="end">` +
        `${escapeMarkup(bar.title)}</text>`,
      `<rect class="bar" x="${round(start)}" y="${middle - barHeight / 2}" ` +
        `width="${round(length)}" height="${barHeight}" rx="2"/>`,
      `<text class="value" x="${round(start + length + 6)}" y="${middle + 4}">` +
        `${short(bar.value)}</text>`,
      '</g>',
    );
  });
  return lines.join('\n');
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
