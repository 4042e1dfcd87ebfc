/** From what the option `refusals` says to the answers that the core keeps ready. */
import { codedTypeError } from '../../http/errors.js';
import { HeaderMap } from '../../http/header-map.js';
import { getAddon, type LaneRefusal, type LaneRefusalAnswer } from '../../native/addon.js';
import { reasonPhrases } from '../../native/generated/status.js';
import type { Refusal, RefusalAnswer, RefusalHook, ServerOptions } from '../options.js';

const CODE = 'WH_ERR_INVALID_OPTION';

/** What the server itself says in the head of a refusal. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'server',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const TEXT = 'text/plain; charset=utf-8';

const KINDS: Readonly<Record<string, RefusalHook>> = {
  empty: () => undefined,
  text: ({ status, title, detail }) => ({
    headers: { 'Content-Type': TEXT },
    body: `${String(status)} ${title}: ${detail}\n`,
  }),
  // RFC 9457
  problem: ({ status, title, detail, reason }) => ({
    headers: { 'Content-Type': 'application/problem+json' },
    body: JSON.stringify({ type: 'about:blank', title, status, detail, reason }),
  }),
};

/**
 * The answers to refused requests. Reasons for which there is nothing to say keep the server's own answer.
 *
 * @param rows - The reasons; the core's unless given.
 *
 * @throws TypeError WH_ERR_INVALID_OPTION; what the hook throws; TypeError WH_ERR_INVALID_HEADER_NAME and
 * WH_ERR_INVALID_HEADER_VALUE for what it made.
 */
export function toRefusalAnswers(
  option: ServerOptions['refusals'],
  rows: readonly LaneRefusal[] = getAddon().refusals(),
): LaneRefusalAnswer[] {
  const hook = typeof option === 'string' ? KINDS[option] : option;
  if (typeof hook !== 'function') {
    const expected = `'empty', 'text', 'problem' or a function`;
    throw codedTypeError(CODE, `option 'refusals' must be ${expected}, not ${String(option)}`);
  }
  const answers: LaneRefusalAnswer[] = [];
  for (const { number, reason, status, detail } of rows) {
    const refusal: Refusal = { reason, status, title: reasonPhrases[status] ?? '', detail };
    const answer = hook(refusal);
    if (answer !== undefined) answers.push({ number, ...compose(refusal, answer) });
  }
  return answers;
}

function compose(refusal: Refusal, answer: RefusalAnswer): { head: string; body: string } {
  const where = `the answer of option 'refusals' to '${refusal.reason}'`;
  if (typeof answer !== 'object' || (answer as unknown) === null) {
    throw codedTypeError(CODE, `${where} must be an object or undefined`);
  }
  const { headers = {}, body = '' } = answer;
  if (typeof body !== 'string') throw codedTypeError(CODE, `the body of ${where} must be a string`);
  const map = new HeaderMap();
  for (const [name, value] of Object.entries(headers)) {
    if (OWN_FIELDS.has(name.toLowerCase())) {
      throw codedTypeError(CODE, `${where} cannot set ${name}: the server does`);
    }
    map.append(name, value);
  }
  let head = '';
  for (const { name, value } of map._lines) head += `${name}: ${value}\r\n`;
  return { head, body };
}
