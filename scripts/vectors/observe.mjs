// Sends a case to a server of which nothing is expected, and tells what came of it.
import { connect } from 'node:net';
import { parseAnswer } from '../../dist/test/support/raw-client.js';

/** How long a server may be silent before it counts as done: before its first byte, and after (ms). */
const SILENT = 3000;
const QUIET = 300;
const NEXT = 'GET /next HTTP/1.1\r\nHost: next\r\n\r\n';

/**
 * What came: the answers, and whether the connection lived on (`open`), ended (`closed`), or is still
 * waiting for something (`waits`).
 */
export async function observe(port, vector) {
  const line = await open(port);
  line.send(vector.input);
  if (vector.halfClose) line.socket.end();
  await line.quiet();
  const methods = vector.requests.map(({ method }) => method);
  methods.push(/^(?:\r\n)*([^ ]*) /.exec(vector.input.toString('latin1'))?.[1] ?? 'GET');
  const answers = line.take(methods);
  let ending = line.ended ? 'closed' : 'waits';
  if (!line.ended && !vector.halfClose && line.rest() === '') {
    line.send(NEXT);
    await line.quiet();
    const [next] = line.take(['GET']);
    if (next?.seen?.target === '/next') ending = 'open';
    else if (line.ended) ending = 'closed';
  }
  const rest = line.rest();
  line.socket.destroy();
  return { answers, rest, ending };
}

async function open(port) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let bytes = Buffer.alloc(0);
  let changed = () => undefined;
  const line = {
    socket,
    ended: false,
    send: (data) => socket.write(data),
    rest: () => bytes.toString('latin1'),
    /** Settles when nothing has come for a while, or the connection has ended. */
    quiet: async () => {
      for (let more = true, patience = SILENT; more && !line.ended; patience = QUIET) {
        more = await new Promise((resolve) => {
          const timer = setTimeout(resolve, patience, false);
          changed = () => {
            clearTimeout(timer);
            resolve(true);
          };
        });
      }
    },
    /** The final answers that have come, in order. */
    take: (methods) => {
      const answers = [];
      for (;;) {
        const method = methods[Math.min(answers.length, methods.length - 1)];
        const parsed = parse(bytes, method, line.ended);
        if (parsed === undefined) return answers;
        bytes = bytes.subarray(parsed.length);
        if (parsed.answer.status >= 200) answers.push(describe(parsed.answer));
      }
    },
  };
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    changed();
  });
  for (const event of ['end', 'error', 'close']) {
    socket.on(event, () => {
      line.ended = true;
      changed();
    });
  }
  await new Promise((resolve) => socket.once('connect', resolve));
  return line;
}

function parse(bytes, method, ended) {
  if (bytes.length === 0) return undefined;
  try {
    const parsed = parseAnswer(bytes, method, ended);
    return typeof parsed === 'number' ? undefined : parsed;
  } catch {
    return undefined; // it stays in rest
  }
}

function describe({ status, headers }) {
  const seen = headers.get('seen')?.join();
  return {
    status,
    seen: seen === undefined ? undefined : JSON.parse(Buffer.from(seen, 'base64').toString('utf8')),
  };
}
