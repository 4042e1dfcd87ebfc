/** hyper-express, on the uWebSockets.js of this folder. Arguments: port. */

import HyperExpress from 'hyper-express';

import { hello, lookUp, makeLarge } from './shared.mjs';

const large = Buffer.from(makeLarge());
const app = new HyperExpress.Server({ max_body_length: 2 ** 21 });

app.get('/plaintext', (request, response) => {
  response.type('text').send(hello);
});

app.get('/json', (request, response) => {
  response.json({ message: hello });
});

app.get('/users/:id', (request, response) => {
  const { headers } = request;
  const length =
    headers['user-agent'].length +
    headers.accept.length +
    headers.authorization.length +
    headers['x-request-id'].length;
  response.type('text').send(`${request.path_parameters.id} ${length}`);
});

const middleware = async () => {
  await lookUp();
};
app.get('/async', { middlewares: [middleware, middleware] }, async (request, response) => {
  response.type('text').send(await lookUp());
});

app.get('/large', (request, response) => {
  response.type('text').send(large);
});

app.post('/echo', async (request, response) => {
  const body = await request.buffer();
  response.header('Content-Type', 'application/octet-stream').send(body);
});

// Its stream of data events stands still on this uWebSockets.js; gathering works.
app.post('/upload', async (request, response) => {
  const body = await request.buffer();
  response.type('text').send(String(body.length));
});

await app.listen(Number(process.argv[2]), '127.0.0.1');
