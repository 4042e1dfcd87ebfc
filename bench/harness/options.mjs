/** The command line of the harness. */

import { parseArgs } from 'node:util';

export const usage = `npm run bench -- [options]

  --scenario NAME[,NAME]  only these scenarios (default: all; --list shows them)
  --peers NAME[,NAME]     only these servers (default: all; windhover is added when it is left out
                          only if it is named)
  --slices N              one-second slices per server and scenario (default 10)
  --warm-up SECONDS       load before the first slice (default 2)
  --tool wrk|h2load       load generator (default wrk; h2load has no percentiles)
  --stop auto|all|none    which servers to SIGSTOP while others are measured (default auto: those
                          that use CPU although nobody asks them anything)
  --json FILE             where to write the figures    (default bench/.work/last.json)
  --svg FILE              where to write the picture    (default bench/.work/last.svg)
  --html FILE             where to write the page       (default bench/.work/last.html)
  --markdown FILE         where to write the tables for a README (default: nowhere)
  --from FILE             measure nothing, draw the figures of an earlier --json FILE
  --list                  list the scenarios and servers and end
`;

/**
 * @typedef {object} Options
 * @property {string[] | null} scenarios
 * @property {string[] | null} peers
 * @property {number} slices
 * @property {number} warmUp Seconds.
 * @property {'wrk' | 'h2load'} tool
 * @property {'auto' | 'all' | 'none'} stop Which waiting servers are stopped by SIGSTOP.
 * @property {string | undefined} json
 * @property {string | undefined} svg
 * @property {string | undefined} html
 * @property {string | undefined} markdown
 * @property {string | undefined} from
 * @property {boolean} list
 * @property {boolean} help
 */

/**
 * @param {readonly string[]} args Without node and the script.
 * @returns {Options}
 * @throws {Error} With a sentence for the user when an option is wrong.
 */
export function readOptions(args) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string', multiple: true },
      peers: { type: 'string', multiple: true },
      slices: { type: 'string', default: '10' },
      'warm-up': { type: 'string', default: '2' },
      tool: { type: 'string', default: 'wrk' },
      stop: { type: 'string', default: 'auto' },
      json: { type: 'string' },
      svg: { type: 'string' },
      html: { type: 'string' },
      markdown: { type: 'string' },
      from: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.tool !== 'wrk' && values.tool !== 'h2load') {
    throw new Error(`--tool is wrk or h2load, not ${values.tool}`);
  }
  if (values.stop !== 'auto' && values.stop !== 'all' && values.stop !== 'none') {
    throw new Error(`--stop is auto, all or none, not ${values.stop}`);
  }
  return {
    scenarios: names(values.scenario),
    peers: names(values.peers),
    slices: number('--slices', values.slices, 1, 1000, true),
    warmUp: number('--warm-up', values['warm-up'], 1, 60, true),
    tool: values.tool,
    stop: values.stop,
    json: values.json,
    svg: values.svg,
    html: values.html,
    markdown: values.markdown,
    from: values.from,
    list: values.list,
    help: values.help,
  };
}

/**
 * @template {{ name: string }} T
 * @param {string} kind For the message.
 * @param {readonly T[]} known
 * @param {readonly string[] | null} wanted All when null.
 * @returns {T[]} In the order of known.
 * @throws {Error} When a name is not known.
 */
export function choose(kind, known, wanted) {
  if (wanted === null) return [...known];
  const unknown = wanted.filter((name) => !known.some((item) => item.name === name));
  if (unknown.length > 0) {
    const list = known.map((item) => item.name).join(', ');
    throw new Error(`no ${kind} is called ${unknown.join(', ')}; there are: ${list}`);
  }
  return known.filter((item) => wanted.includes(item.name));
}

/** @param {readonly string[] | undefined} values */
function names(values) {
  if (values === undefined) return null;
  const list = values.flatMap((value) => value.split(',')).map((value) => value.trim());
  return list.filter((value) => value !== '');
}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} least
 * @param {number} most
 * @param {boolean} whole
 */
function number(option, text, least, most, whole) {
  const value = Number(text);
  const valid = text.trim() !== '' && value >= least && value <= most;
  if (!valid || (whole && !Number.isInteger(value))) {
    throw new Error(`${option} is a ${whole ? 'whole ' : ''}number from ${least} to ${most}`);
  }
  return value;
}
