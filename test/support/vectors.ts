/** The reader of test/vectors/http1.txt, which says at its top what a case is. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A field or a trailer. */
export interface VectorField {
  readonly name: string;
  readonly value: string;
}

/** A request that the application gets. Texts are what UTF-8 makes of the bytes. */
export interface VectorRequest {
  readonly method: string;
  readonly path: string;
  query: string;
  target: string;
  version: string;
  host: string | undefined;
  readonly fields: VectorField[];
  body: Buffer;
  readonly trailers: VectorField[];
  close: boolean;
  keepAlive: boolean;
}

export interface VectorCase {
  readonly section: string;
  readonly name: string;
  from: string;
  /** What is relaxed: an option of `http1` without its `allow`. */
  relaxed: string | undefined;
  input: Buffer;
  /** The input's lines as they are written down. */
  readonly shown: string[];
  halfClose: boolean;
  readonly requests: VectorRequest[];
  ending: 'open' | 'close' | 'refuse' | 'refuse-body' | 'raw' | 'end';
  /** Of a refusal. */
  status: number | undefined;
  allow: string | undefined;
  raw: Buffer | undefined;
}

// From dist/test/support, and from test/support.
const FILE = fileURLToPath(
  new URL(
    import.meta.url.includes('/dist/') ? '../../../test/vectors/http1.txt' : '../vectors/http1.txt',
    import.meta.url,
  ),
);

const ESCAPES: Readonly<Record<string, string>> = {
  r: '\r',
  n: '\n',
  t: '\t',
  s: ' ',
  '0': '\0',
  '\\': '\\',
  '{': '{',
};

/** The bytes of a text, as Latin-1. */
function unescape(text: string): string {
  const repeated = /\{((?:\\[^]|[^\\{*}])*)\*([0-9]+)\}/g;
  const placed: string[] = [];
  // What is repeated is put aside, so that its bytes are not taken for escapes.
  const rest = text.replace(/\\[^]|\{(?:\\[^]|[^\\{*}])*\*[0-9]+\}/g, (whole: string) => {
    if (whole.startsWith('\\')) return whole;
    const [, once, count] = [...whole.matchAll(repeated)][0];
    placed.push(unescape(once).repeat(Number(count)));
    return `\\p${String.fromCharCode(placed.length)}`;
  });
  return rest.replace(
    /\\(?:x([0-9a-fA-F]{2})|p([^])|([^]))/g,
    (whole, hex?: string, place?: string, kind?: string) => {
      if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
      if (place !== undefined) return placed[place.charCodeAt(0) - 1];
      const byte = ESCAPES[kind ?? ''] as string | undefined;
      if (byte === undefined) throw new Error(`${whole} is no escape: ${text}`);
      return byte;
    },
  );
}

function toBytes(text: string): Buffer {
  return Buffer.from(unescape(text), 'latin1');
}

function toText(text: string): string {
  return toBytes(text).toString('utf8');
}

function toField(text: string): VectorField {
  const parts = /^([^:]*): ?([^]*)$/.exec(text);
  if (parts === null) throw new Error(`no field: ${text}`);
  return { name: toText(parts[1]), value: toText(parts[2]) };
}

function toRequest(text: string): VectorRequest {
  const blank = text.indexOf(' ');
  return {
    method: toText(blank < 0 ? text : text.slice(0, blank)),
    path: blank < 0 ? '' : toText(text.slice(blank + 1)),
    query: '',
    target: '',
    version: '1.1',
    host: undefined,
    fields: [],
    body: Buffer.alloc(0),
    trailers: [],
    close: false,
    keepAlive: false,
  };
}

/** What a line of a request says. */
function readDetail(vector: VectorCase, word: string, text: string): boolean {
  if (word === 'allow') {
    vector.allow = text;
    return true;
  }
  const request = vector.requests.at(-1);
  if (request === undefined) return false;
  switch (word) {
    case 'query':
      request.query = toText(text);
      break;
    case 'target':
      request.target = toText(text);
      break;
    case 'version':
      request.version = text;
      break;
    case 'host':
      request.host = toText(text);
      break;
    case 'field':
      request.fields.push(toField(text));
      break;
    case 'body':
      request.body = toBytes(text);
      break;
    case 'trailer':
      request.trailers.push(toField(text));
      break;
    case 'close':
      request.close = true;
      vector.ending = 'close';
      break;
    case 'keep-alive':
      request.keepAlive = true;
      break;
    default:
      return false;
  }
  return true;
}

function readLine(vector: VectorCase, line: string): void {
  const [, word, text] = /^ *([^ ]+) ?([^]*)$/.exec(line) ?? [];
  switch (word) {
    case '>':
    case '+':
      vector.shown.push(word === '>' ? `${text}\\r\\n` : text);
      vector.input = Buffer.concat([
        vector.input,
        toBytes(text),
        Buffer.from(word === '>' ? '\r\n' : ''),
      ]);
      break;
    case 'from':
      vector.from = text;
      break;
    case 'relaxed':
      vector.relaxed = text;
      break;
    case 'half-close':
      vector.halfClose = true;
      break;
    case 'request':
      vector.requests.push(toRequest(text));
      break;
    case 'refuse':
    case 'refuse-body':
      vector.ending = word;
      vector.status = Number(text);
      break;
    case 'raw':
      vector.ending = word;
      vector.raw = toBytes(text);
      break;
    case 'end':
      vector.ending = word;
      break;
    default:
      if (!readDetail(vector, word, text)) throw new Error(`${vector.name}: ${line}`);
  }
}

/** All cases, in order. */
export function readVectors(): VectorCase[] {
  const vectors: VectorCase[] = [];
  let section = '';
  let open: VectorCase | undefined;
  for (const line of readFileSync(FILE, 'latin1').split('\n')) {
    const title = /^# --- (.*) ---$/.exec(line);
    if (title !== null) [, section] = title;
    if (line.startsWith('case ')) {
      open = {
        section,
        name: line.slice(5),
        from: '',
        relaxed: undefined,
        input: Buffer.alloc(0),
        shown: [],
        halfClose: false,
        requests: [],
        ending: 'open',
        status: undefined,
        allow: undefined,
        raw: undefined,
      };
      vectors.push(open);
    } else if (line === '') {
      open = undefined;
    } else if (!line.startsWith('#')) {
      if (open === undefined) throw new Error(`outside of a case: ${line}`);
      readLine(open, line);
    }
  }
  for (const { requests } of vectors) {
    for (const request of requests) {
      if (request.target === '') request.target = request.path + request.query;
    }
  }
  return vectors;
}
