/** fastify with a response schema and hooks as middlewares. Arguments: port. */

import fastify from 'fastify';

import { hello, idleMilliseconds, lookUp, makeLarge } from './shared.mjs';

const large = Buffer.from(makeLarge());
const app = fastify({ logger: false, keepAliveTimeout: idleMilliseconds, bodyLimit: 2 ** 21 });

app.get('/plaintext', (request, reply) => {
  reply.type('text/plain').send(hello);
});

const schema = {
  response: { 200: { type: 'object', properties: { message: { type: 'string' } } } },
};
app.get('/json', { schema }, (request, reply) => {
  reply.send({ message: hello });
});

app.get('/users/:id', (request, reply) => {
  const { headers } = request;
  const { id } = /** @type {{ id: string }} */ (request.params);
  const length =
    /** @type {string} */ (headers['user-agent']).length +
    /** @type {string} */ (headers.accept).length +
    /** @type {string} */ (headers.authorization).length +
    /** @type {string} */ (headers['x-request-id']).length;
  reply.type('text/plain').send(`${id} ${length}`);
});

const hook = async () => {
  await lookUp();
};
app.get('/async', { onRequest: [hook, hook] }, async (request, reply) => {
  reply.type('text/plain');
  return await lookUp();
});

app.get('/large', (request, reply) => {
  reply.type('text/plain').send(large);
});

app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (request, body, done) =>
  done(null, body),
);
app.post('/echo', (request, reply) => {
  reply.type('application/octet-stream').send(request.body);
});

// A context of its own, in which a body is counted as it comes and not gathered.
app.register(async (scope) => {
  scope.removeContentTypeParser('application/octet-stream');
  scope.addContentTypeParser('application/octet-stream', (request, payload, done) => {
    let bytes = 0;
    payload.on('data', (chunk) => (bytes += chunk.length));
    payload.on('end', () => done(null, bytes));
  });
  scope.post('/upload', (request, reply) => {
    reply.type('text/plain').send(String(request.body));
  });
});

await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
