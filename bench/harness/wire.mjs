/** Requests as bytes and answers from bytes: what the probe and the idle client need of HTTP/1.1. */

/**
 * @param {import('../types.mjs').HttpRequest} request
 * @param {string} authority
 * @returns {string} The whole request; latin1.
 */
export function requestText(request, authority) {
  const body = bodyText(request);
  const lines = [`${request.method} ${request.path} HTTP/1.1`, `Host: ${authority}`];
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    lines.push(`${name}: ${value}`);
  }
  if (request.malformedLine !== undefined) lines.push(request.malformedLine);
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

/**
 * @param {import('../types.mjs').HttpRequest} request
 * @returns {string | undefined} latin1.
 */
export function bodyText({ body, bodyBytes }) {
  return body ?? (bodyBytes === undefined ? undefined : 'x'.repeat(bodyBytes));
}

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {Map<string, string>} headers Names in lower case.
 * @property {Map<string, string>} [trailers] HTTP/2: the fields behind the body.
 * @property {Buffer} body
 * @property {number} length Bytes that the answer took of the input.
 */

/**
 * Reads one answer from the beginning of what has been received.
 *
 * @param {Buffer} input
 * @param {boolean} ended Whether nothing more will come.
 * @returns {Answer | null} Null while it is not complete.
 * @throws {Error} When it is not HTTP/1.1.
 */
export function readAnswer(input, ended) {
  const headEnd = input.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const [statusLine, ...lines] = input.toString('latin1', 0, headEnd).split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw new Error(`not HTTP/1.1: ${statusLine.slice(0, 60)}`);
  const headers = new Map();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const start = headEnd + 4;
  const answer = (/** @type {Buffer} */ body, /** @type {number} */ length) => {
    return { status: Number(status), headers, body, length };
  };
  if (headers.get('transfer-encoding')?.toLowerCase() === 'chunked') {
    const chunks = readChunks(input, start);
    return chunks === null ? null : answer(chunks.body, chunks.end);
  }
  const declared = headers.get('content-length');
  if (declared === undefined) return ended ? answer(input.subarray(start), input.length) : null;
  const bodyEnd = start + Number(declared);
  return input.length < bodyEnd ? null : answer(input.subarray(start, bodyEnd), bodyEnd);
}

/**
 * @param {Buffer} input
 * @param {number} start
 * @returns {{ body: Buffer, end: number } | null}
 */
function readChunks(input, start) {
  const parts = [];
  for (let at = start; ;) {
    const lineEnd = input.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(input.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error('a chunk without a size');
    const dataEnd = lineEnd + 2 + size;
    if (input.length < dataEnd + 2) return null;
    if (size === 0) return { body: Buffer.concat(parts), end: dataEnd + 2 };
    parts.push(input.subarray(lineEnd + 2, dataEnd));
    at = dataEnd + 2;
  }
}
