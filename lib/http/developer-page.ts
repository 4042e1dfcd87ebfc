/**
 * What a developer sees when a handler fails, in the development environment only: it tells everything,
 * so it must never reach a stranger. All that it shows comes from outside and is escaped.
 */
import { STATUS_CODES } from 'node:http';
import { inspect } from 'node:util';
import type { HttpContext } from './http-context.js';

/** One failure of a chain of causes. */
interface Failure {
  readonly title: string;
  readonly stack: string;
}

/** Causes deeper than this are left out; a chain may be a circle. */
const CAUSES_MAX = 8;

/** The page for browsers. */
export function developerPage(context: HttpContext, error: unknown, status: number): string {
  const failures = describeFailures(error);
  const request = context.request;
  const heading = `${String(status)} ${STATUS_CODES[status] ?? ''}`.trim();
  const sections = failures
    .map(
      (failure, i) =>
        `<section><h2>${i === 0 ? 'What was thrown' : 'Caused by'}</h2><p class="title">${escapeHtml(failure.title)}</p>` +
        (failure.stack === '' ? '' : `<pre>${markOwnFrames(failure.stack)}</pre>`) +
        '</section>',
    )
    .join('\n');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(heading)}</title>
<style>${STYLE}</style>
<header><p class="status">${escapeHtml(heading)}</p>
<h1>${escapeHtml(failures[0]?.title ?? 'Unknown error')}</h1>
<p class="line"><b>${escapeHtml(request.method)}</b> ${escapeHtml(request.pathBase + request.path + request.queryString)}</p></header>
<main>
${sections}
${table('Request', requestFacts(context))}
${table('Headers', [...request.headers])}
${table('Query', [...request.query])}
${table('Route values', definedEntries(request.routeValues))}
</main>
<footer>This page is shown in the development environment only.</footer>
</html>
`;
}

/** The same for everything that is no browser. */
export function developerText(context: HttpContext, error: unknown, status: number): string {
  const failures = describeFailures(error);
  const lines = [`${String(status)} ${STATUS_CODES[status] ?? ''}`.trim(), ''];
  failures.forEach((failure, i) => {
    lines.push(i === 0 ? failure.title : `Caused by: ${failure.title}`);
    if (failure.stack !== '') lines.push(failure.stack);
    lines.push('');
  });
  for (const [name, value] of requestFacts(context)) lines.push(`${name}: ${value}`);
  return `${lines.join('\n')}\n`;
}

/** Text made safe for HTML, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${String(character.charCodeAt(0))};`);
}

function describeFailures(error: unknown): Failure[] {
  const failures: Failure[] = [];
  let current = error;
  do {
    failures.push(describeFailure(current));
    current = current instanceof Error ? current.cause : undefined;
  } while (current !== undefined && failures.length < CAUSES_MAX);
  return failures;
}

function describeFailure(error: unknown): Failure {
  if (!(error instanceof Error)) {
    return { title: `Not an Error, but ${safely(() => inspect(error, { depth: 2 }))}`, stack: '' };
  }
  const code = safely(() => (error as { code?: unknown }).code);
  const title = safely(() => `${error.name}: ${error.message}`);
  // The stack repeats name and message, and the message may have many lines.
  const stack = safely(() => error.stack ?? '');
  const frames = stack.search(/^ {4}at /m);
  return {
    title: typeof code === 'string' ? `${title} [${code}]` : title,
    stack: frames < 0 ? '' : stack.slice(frames),
  };
}

/** What was thrown may have getters that throw in turn. */
function safely<T>(read: () => T): T | string {
  try {
    return read();
  } catch {
    return '(unreadable)';
  }
}

function requestFacts(context: HttpContext): (readonly [string, string])[] {
  const { request, connection } = context;
  return [
    ['Method', request.method],
    ['Target', request.rawTarget],
    ['Scheme', request.scheme],
    ['Host', request.host],
    ['Path base', request.pathBase],
    ['Path', request.path],
    ['Protocol', request.protocol],
    [
      'Peer',
      connection.remoteAddress === undefined
        ? ''
        : `${connection.remoteAddress} ${String(connection.remotePort)}`,
    ],
    ['Trace identifier', context.traceIdentifier],
  ];
}

function definedEntries(values: Readonly<Record<string, string | undefined>>): [string, string][] {
  return Object.entries(values).map(([name, value]) => [name, value ?? '']);
}

function table(title: string, rows: readonly (readonly [string, string])[]): string {
  if (rows.length === 0) return '';
  const body = rows
    .map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`)
    .join('\n');
  return `<section><h2>${title}</h2><table>${body}</table></section>`;
}

/** The folder of this package's own code, as stacks name it; where that cannot be told nothing matches. */
const OWN_FOLDER =
  /((?:file:\/\/)?[^\s(]*[\\/])http[\\/]developer-page\./.exec(new Error().stack ?? '')?.[1] ??
  '\n';

/** Frames of Node, of packages and of this one step back, so that the program's own are found at a glance. */
function markOwnFrames(stack: string): string {
  return stack
    .split('\n')
    .map((line) =>
      /node:|node_modules/.test(line) || line.includes(OWN_FOLDER)
        ? `<span class="far">${escapeHtml(line)}</span>`
        : escapeHtml(line),
    )
    .join('\n');
}

const STYLE = `
:root{color-scheme:light dark;--bg:#f1f5f7;--card:#fff;--ink:#1d2a33;--dim:#5d707c;--line:#d9e2e7;--hot:#9c4a22}
@media (prefers-color-scheme:dark){:root{--bg:#10191f;--card:#16222a;--ink:#e4edf1;--dim:#93a6b1;--line:#273842;--hot:#e8935f}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,sans-serif}
header,main,footer{max-width:64rem;margin:0 auto;padding:1.5rem}
header{padding-top:3rem}h1{font-size:1.6rem;line-height:1.3;margin:.2rem 0 .8rem;overflow-wrap:anywhere}
.status{margin:0;color:var(--hot);font-weight:600}.line{margin:0;color:var(--dim);font-family:ui-monospace,monospace;overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.25rem;margin:0 0 1rem}
h2{font-size:.85rem;font-weight:600;color:var(--dim);margin:0 0 .6rem}
.title{margin:0 0 .6rem;font-weight:600;overflow-wrap:anywhere;white-space:pre-wrap}
pre{margin:0;overflow-x:auto;font:13px/1.6 ui-monospace,monospace}.far{color:var(--dim)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-top:1px solid var(--line)}
tr:first-child th,tr:first-child td{border-top:0}th{font-weight:500;color:var(--dim);white-space:nowrap}
td{font-family:ui-monospace,monospace;font-size:13px;overflow-wrap:anywhere;width:100%}
footer{color:var(--dim);font-size:.85rem;padding-top:0}`;
