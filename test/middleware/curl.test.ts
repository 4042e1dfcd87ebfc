/** curl in front of an application with http and https: it follows the redirection, and keeps HSTS. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { WebApplication } from '../../lib/hosting/web-application.js';
import { serverCertificate } from '../support/certificates.js';
import { findProgram, foreignEnvironment } from '../support/programs.js';

const program = findProgram('curl');
if (program === undefined) console.log('there is no curl: its test is skipped');

(program === undefined ? test.skip : test)('redirection to https, and HSTS', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-curl-'));
  const builder = WebApplication.createBuilder({ environment: 'Production' });
  const { cert, key } = serverCertificate(['shop.example']);
  writeFileSync(join(folder, 'ca.pem'), cert);
  builder.server.listen({ host: '127.0.0.1', port: 0 });
  builder.server.listen({ host: '127.0.0.1', port: 0, https: { cert, key } });
  const app = builder.build();
  app
    .useHostFiltering({ allowedHosts: ['shop.example'] })
    .useHsts()
    .useHttpsRedirection();
  app.post('/a b', async ({ request, response }) => {
    await response.text(`${request.scheme} ${request.queryString} ${await request.body.text()}`);
  });
  await app.start();
  t.teardown(async () => {
    await app.stop();
    rmSync(folder, { recursive: true });
  });
  const [http, https] = app.addresses.map((url) => new URL(url).port);
  const curl = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(
      program ?? '',
      [
        '-sS',
        ...['--cacert', join(folder, 'ca.pem'), '--hsts', join(folder, 'hsts.txt')],
        ...['--resolve', `shop.example:${http}:127.0.0.1`],
        ...['--resolve', `shop.example:${https}:127.0.0.1`],
        ...args,
      ],
      { env: foreignEnvironment() },
    );
    return stdout;
  };
  const url = `http://shop.example:${http}/a%20b?c=%20`;
  t.is(await curl('-L', '--data', 'body', url), 'https ?c=%20 body');
  t.regex(readFileSync(join(folder, 'hsts.txt'), 'utf8'), /^shop\.example "/m);
  t.is(await curl('-o', '/dev/null', '-w', '%{http_code}', `http://127.0.0.1:${http}/`), '400');
});
