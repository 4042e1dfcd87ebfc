/**
 * What slow and hostile clients do to a server, and how each must end. Every one is bounded in time, and
 * runs on loopback only.
 */

/**
 * @typedef {object} Attack
 * @property {string} name
 * @property {string} limit Which limit ends it, for the report.
 * @property {number} seconds Within which every connection must have ended.
 * @property {string[]} ends How it may end: a status, or 'closed' where the server says nothing.
 * @property {(socket: import('node:net').Socket) => (() => void)} start Begins; returns what ends its work.
 */

const HEAD = 'Host: h\r\n';

/**
 * Sends something again and again, as fast as the server takes it.
 *
 * @param {import('node:net').Socket} socket
 * @param {string | Buffer} piece
 */
function flood(socket, piece) {
  let on = true;
  const go = () => {
    if (!on || !socket.writable) return;
    // One at a time: a server that takes everything at once would keep us from ever reading.
    if (socket.write(piece)) setImmediate(go);
    else socket.once('drain', go);
  };
  setImmediate(go);
  return () => {
    on = false;
  };
}

/**
 * Sends something every so many milliseconds.
 *
 * @param {import('node:net').Socket} socket
 * @param {string} piece
 * @param {number} every
 */
function drip(socket, piece, every) {
  const timer = setInterval(() => {
    if (socket.writable) socket.write(piece);
  }, every);
  return () => {
    clearInterval(timer);
  };
}

const nothing = () => undefined;

/** The limits that the server under attack has: all short, so that a run takes seconds. */
export const limits = {
  requestHeadersTimeout: 2000,
  keepAliveTimeout: 3000,
  lingerTimeout: 2500,
  requestBodyDrainTimeout: 1000,
  minRequestBodyDataRate: { bytesPerSecond: 240, gracePeriod: 2000 },
  minResponseDataRate: { bytesPerSecond: 240, gracePeriod: 2000 },
};

/** @type {readonly Attack[]} */
export const attacks = [
  {
    name: 'silent connect',
    limit: 'requestHeadersTimeout 2 s',
    seconds: 4,
    ends: ['closed'],
    start: () => nothing,
  },
  {
    name: 'slow headers',
    limit: 'requestHeadersTimeout 2 s',
    seconds: 5,
    ends: ['408'],
    start: (socket) => {
      socket.write('GET / HTTP/1.1\r\n');
      return drip(socket, 'X-Slow: 1\r\n', 300);
    },
  },
  {
    name: 'slow body',
    limit: 'minRequestBodyDataRate 240 B/s over 2 s',
    seconds: 7,
    ends: ['408'],
    start: (socket) => {
      socket.write(`POST /upload HTTP/1.1\r\n${HEAD}Content-Length: 1000000\r\n\r\n`);
      return drip(socket, 'x', 300);
    },
  },
  {
    name: 'slow reader',
    limit: 'minResponseDataRate 240 B/s over 2 s',
    seconds: 8,
    ends: ['closed'],
    start: (socket) => {
      socket.pause();
      socket.write(`GET /large HTTP/1.1\r\n${HEAD}\r\n`);
      // A client that reads nothing is not told of the end by its system before it reads again.
      const timer = setTimeout(() => socket.resume(), 6000);
      return () => {
        clearTimeout(timer);
        socket.resume();
      };
    },
  },
  {
    name: 'idle keep-alive',
    limit: 'keepAliveTimeout 3 s',
    seconds: 6,
    ends: ['200'],
    start: (socket) => {
      socket.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`);
      return nothing;
    },
  },
  {
    name: '4,000 headers',
    limit: 'maxRequestHeaderCount 100',
    seconds: 3,
    ends: ['431'],
    start: (socket) => {
      socket.write(`GET / HTTP/1.1\r\n${HEAD}${'X: y\r\n'.repeat(4000)}\r\n`);
      return nothing;
    },
  },
  {
    name: 'endless header line',
    limit: 'maxRequestHeadersTotalSize 32 KiB',
    seconds: 3,
    ends: ['431'],
    start: (socket) => {
      socket.write(`GET / HTTP/1.1\r\n${HEAD}X: `);
      return flood(socket, 'x'.repeat(16_384));
    },
  },
  {
    name: 'endless request line',
    limit: 'maxRequestLineSize 8 KiB',
    seconds: 3,
    ends: ['414'],
    start: (socket) => {
      socket.write('GET /');
      return flood(socket, 'x'.repeat(16_384));
    },
  },
  {
    name: 'endless chunk extensions',
    limit: '16,384 bytes of extensions',
    seconds: 3,
    ends: ['400', '413'],
    start: (socket) => {
      socket.write(`POST /upload HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
      return flood(socket, `1;${'e=1;'.repeat(100)}e=1\r\nx\r\n`.repeat(20));
    },
  },
  {
    name: 'one endless chunk extension',
    limit: '1,024 bytes of a size line',
    seconds: 3,
    ends: ['400', '413'],
    start: (socket) => {
      socket.write(`POST /upload HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n1;`);
      return flood(socket, 'e'.repeat(16_384));
    },
  },
  {
    name: 'endless trailers',
    limit: 'the size and number of trailers',
    seconds: 3,
    ends: ['431'],
    start: (socket) => {
      socket.write(`POST /upload HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n`);
      return flood(socket, 'X-T: 1\r\n'.repeat(500));
    },
  },
  {
    name: 'endless body',
    limit: 'maxRequestBodySize 30 MB',
    seconds: 12,
    ends: ['413'],
    start: (socket) => {
      socket.write(`POST /upload HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
      return flood(socket, `10000\r\n${'x'.repeat(65_536)}\r\n`);
    },
  },
  {
    name: 'endless pipelining, unread',
    limit: 'minResponseDataRate 240 B/s over 2 s',
    seconds: 8,
    ends: ['closed'],
    start: (socket) => {
      socket.pause();
      const stop = flood(socket, `GET /text HTTP/1.1\r\n${HEAD}\r\n`.repeat(200));
      const timer = setTimeout(() => socket.resume(), 6000);
      return () => {
        stop();
        clearTimeout(timer);
        socket.resume();
      };
    },
  },
];
