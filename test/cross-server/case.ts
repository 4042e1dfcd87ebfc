/** A case of the suite that every server passes. */
import type { ExecutionContext } from 'ava';
import type { Running, Setup } from './servers.js';

export interface Case {
  /** What a client sees. */
  readonly name: string;
  /** Made anew for each server: they are tested side by side. */
  readonly setup?: Setup | (() => Setup);
  /** It is about short times, which others at work beside it would spend. */
  readonly alone?: boolean;
  readonly run: (t: ExecutionContext, server: Running) => Promise<void>;
}

let keys = 0;

/** A key of its own for what the application notices. */
export function newKey(): string {
  return `key-${String(++keys)}`;
}

/** A request of HTTP/1.1 without a body. */
export function get(target: string, ...fields: readonly string[]): string {
  return [
    'GET ',
    target,
    ' HTTP/1.1\r\nHost: h\r\n',
    ...fields.map((each) => `${each}\r\n`),
    '\r\n',
  ].join('');
}

/** A request of HTTP/1.1 with a body. */
export function post(target: string, body: string, ...fields: readonly string[]): string {
  const own = fields.map((each) => `${each}\r\n`).join('');
  const length = Buffer.byteLength(body, 'latin1');
  return `POST ${target} HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(length)}\r\n${own}\r\n${body}`;
}
