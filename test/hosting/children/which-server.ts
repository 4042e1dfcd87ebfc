/** Serves once with what the environment chooses, and tells by what. */
import { serve } from '../../../lib/hosting/serve.js';
import { WebApplication } from '../../../lib/hosting/web-application.js';

const urls = 'http://127.0.0.1:0';
try {
  const running = await serve({ urls }, ({ response }) => response.text('hello'));
  const body = await (await fetch(running.addresses[0])).text();
  await running.stop();
  const app = WebApplication.createBuilder({ args: ['--urls', urls] }).build();
  await app.start();
  console.log(`${running.server.constructor.name} ${app.server.constructor.name} ${body}`);
  await app.stop();
} catch (error) {
  console.log(`failed ${(error as { code?: string }).code ?? ''} ${(error as Error).message}`);
}
