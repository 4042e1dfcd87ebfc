/** The Markdown files that users read, and what tests want of them: examples, links, headings. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the package, from dist/test/docs/. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** The Markdown files, relative to the root. */
export const documents: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`),
];

export function readDocument(name: string): string {
  return readFileSync(join(root, name), 'utf8');
}

/** A request to an example, and what its answer must be. */
export interface Expectation {
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly status: number;
  /** What the answer's body must contain. */
  readonly text: string;
}

/**
 * What a test does with an example. `none`: it is another library's, or a part of something. `check`: its
 * types are checked. `run`: it ends by itself, with status 0. `serve`: it prints the URL where it listens,
 * answers requests, and ends on SIGTERM.
 */
export type Kind = 'none' | 'check' | 'run' | 'serve';

/** A fenced piece of JavaScript or TypeScript. */
export interface Example {
  readonly document: string;
  /** The line of its fence, from 1. */
  readonly line: number;
  readonly kind: Kind;
  /** The file that it is saved as. Examples of one document share a folder, and may import each other. */
  readonly file: string;
  readonly code: string;
  readonly expectations: readonly Expectation[];
}

/**
 * The examples of a document. Before each fence of JavaScript or TypeScript stands a comment that says
 * what a test does with it:
 *
 *     <!-- example: serve file=hello.mjs
 *     GET /hello/you => 200 {"hello":"you"}
 *     POST /sum [1,2] => 200 {"sum":3}
 *     -->
 *
 * @throws Error where a fence has no such comment, or one that cannot be understood.
 */
export function readExamples(document: string): Example[] {
  const lines = readDocument(document).split('\n');
  const examples: Example[] = [];
  let comment: string | undefined;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    if (line.startsWith('<!--')) {
      const end = lines.findIndex((other, at) => at >= i && other.endsWith('-->'));
      comment = lines.slice(i, end + 1).join('\n');
      i = end;
    } else if (line.startsWith('```')) {
      const language = line.slice(3).trim();
      const end = lines.findIndex((other, at) => at > i && other === '```');
      if (end < 0) throw new Error(`${document}:${String(i + 1)}: the fence has no end`);
      if (/^(js|ts|javascript|typescript)\b/.test(language)) {
        const code = `${lines.slice(i + 1, end).join('\n')}\n`;
        examples.push({
          document,
          line: i + 1,
          code,
          ...readComment(comment, document, i, language),
        });
      }
      comment = undefined;
      i = end;
    } else if (line.trim() !== '') {
      comment = undefined;
    }
  }
  return examples;
}

function readComment(
  comment: string | undefined,
  document: string,
  index: number,
  language: string,
): Pick<Example, 'kind' | 'file' | 'expectations'> {
  const place = `${document}:${String(index + 1)}`;
  const match = /^<!-- example: (none|check|run|serve)(?: file=(\S+))?\s*([^]*?)\s*-->$/.exec(
    comment ?? '',
  );
  if (match === null)
    throw new Error(`${place}: an example needs a comment that says how it is tested`);
  const [
    ,
    kind,
    file = `line-${String(index + 1)}.${language.startsWith('t') ? 'ts' : 'js'}`,
    rest,
  ] = match;
  const expectations = rest
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => readExpectation(line, place));
  if ((kind === 'serve') !== expectations.length > 0) {
    throw new Error(`${place}: requests are for examples that serve, and these need some`);
  }
  return { kind: kind as Kind, file, expectations };
}

function readExpectation(line: string, place: string): Expectation {
  const match = /^([A-Z]+) (\/\S*)(?: (.*?))? => (\d{3})(?: (.*))?$/.exec(line);
  if (match === null) throw new Error(`${place}: not a request with its answer: ${line}`);
  const [, method, path, body, status, text = ''] = match;
  return { method, path, body, status: Number(status), text };
}

/** The targets of a document's links and pictures, but those on the web. */
export function readLinks(document: string): string[] {
  const prose = readDocument(document).replace(/^```[^]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors of a document's headings, as code hosts make them. */
export function readAnchors(document: string): Set<string> {
  const prose = readDocument(document).replace(/^```[^]*?^```$/gm, '');
  const headings = [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title);
  return new Set(
    headings.map((title) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  );
}
