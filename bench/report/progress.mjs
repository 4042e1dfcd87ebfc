/** What the harness says while it works: one changing line on a terminal, few lines elsewhere. */

const terminal = process.stderr.isTTY === true;
let shown = '';

/**
 * A line that the next one replaces. Without a terminal it is not shown.
 *
 * @param {string} text
 */
export function showProgress(text) {
  if (!terminal) return;
  const width = (process.stderr.columns ?? 80) - 1;
  shown = text.slice(0, width);
  process.stderr.write(`\r\x1b[K${shown}`);
}

/**
 * A line that stays.
 *
 * @param {string} text
 */
export function say(text) {
  if (terminal && shown !== '') process.stderr.write('\r\x1b[K');
  shown = '';
  process.stdout.write(`${text}\n`);
}
