/**
 * JSON as configuration files have it: with comments and commas before a closing bracket. What is read is
 * not objects but settings, each with its key and its line, so that an error can say where it stands.
 */
import { WindhoverError } from '../http/errors.js';
import type { Scalar, Setting } from './configuration.js';

const WHITE = /(?:[ \t\r\n\uFEFF]|\/\/[^\n]*|\/\*[^]*?\*\/)*/y;
// JSON.parse refuses the control characters that it may not have.
const STRING = /"(?:[^"\\\r\n]|\\.)*"/y;
const LITERAL = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null/y;

/** Deeper nesting is no configuration. */
const DEPTH_MAX = 64;

/**
 * Reads a file's text. Members of arrays have their numbers as keys; a colon in a name is a step down.
 *
 * @param file - The file's name for messages, and for the source of each setting.
 * @throws WindhoverError WH_ERR_INVALID_CONFIGURATION, naming file and line: for what is no JSON, for a
 * name that is there twice (in any case of letters), and where the whole is no object.
 */
export function readJsonSettings(text: string, file: string): Setting[] {
  return new Reader(text, file).read();
}

class Reader {
  private at = 0;
  private readonly settings: Setting[] = [];
  /** Keys of all members, in lower case. */
  private readonly seen = new Set<string>();

  constructor(
    private readonly text: string,
    private readonly file: string,
  ) {}

  read(): Setting[] {
    this.skip();
    if (this.text[this.at] !== '{') this.fail('an object is needed');
    this.readValue('', 0);
    this.skip();
    if (this.at < this.text.length) this.fail('there is something behind the end');
    return this.settings;
  }

  private readValue(key: string, depth: number): void {
    this.skip();
    if (depth > DEPTH_MAX) this.fail('it is nested too deep');
    const first = this.text[this.at];
    if (first === '{') this.readMembers(key, depth, '}');
    else if (first === '[') this.readMembers(key, depth, ']');
    else this.settings.push({ key, source: this.place(), value: this.readScalar() });
  }

  private readMembers(key: string, depth: number, end: '}' | ']'): void {
    const prefix = key === '' ? '' : `${key}:`;
    this.at++;
    for (let i = 0; ; i++) {
      this.skip();
      if (this.text[this.at] === end) break;
      let name = String(i);
      if (end === '}') {
        name = this.readName(prefix);
        this.skip();
        this.take(':');
      }
      this.readValue(prefix + name, depth + 1);
      this.skip();
      if (this.text[this.at] === end) break;
      this.take(',');
    }
    this.at++;
  }

  private readName(prefix: string): string {
    const name = this.match(STRING);
    if (name === undefined) this.fail('a name in double quotes is needed');
    const text = this.unquote(name);
    const key = (prefix + text).toLowerCase();
    if (text === '') this.fail('a name is empty');
    if (this.seen.has(key)) this.fail(`'${prefix}${text}' is there twice`);
    this.seen.add(key);
    return text;
  }

  private readScalar(): Scalar {
    const quoted = this.match(STRING);
    if (quoted !== undefined) return this.unquote(quoted);
    const literal = this.match(LITERAL);
    if (literal === undefined) this.fail('a value is needed');
    return JSON.parse(literal) as Scalar;
  }

  private unquote(quoted: string): string {
    try {
      return JSON.parse(quoted) as string;
    } catch {
      return this.fail(`${quoted} is no JSON string`);
    }
  }

  private skip(): void {
    this.match(WHITE);
  }

  private take(character: string): void {
    if (this.text[this.at] !== character) this.fail(`'${character}' is needed`);
    this.at++;
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private place(): string {
    let line = 1;
    for (let i = 0; i < this.at; i++) if (this.text[i] === '\n') line++;
    return `${this.file}:${String(line)}`;
  }

  private fail(what: string): never {
    const found = this.at < this.text.length ? JSON.stringify(this.text[this.at]) : 'the end';
    throw new WindhoverError(
      'WH_ERR_INVALID_CONFIGURATION',
      `${this.place()}: ${what}, at ${found}`,
    );
  }
}
