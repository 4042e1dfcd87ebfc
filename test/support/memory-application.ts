/** An application on a MemoryServer, for tests of hosting. */
import type { HostEnvironment } from '../../lib/hosting/host-environment.js';
import type { WebApplicationBuilder } from '../../lib/hosting/web-application.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import type { MemoryRequest, MemoryResponse } from './memory-server.js';
import { MemoryServer } from './memory-server.js';

/** A started application. */
export interface MemoryApplication {
  readonly app: WebApplication;
  readonly server: MemoryServer;
  /** What was reported of failing handlers. */
  readonly reported: unknown[];
  readonly request: (request?: MemoryRequest | string) => Promise<MemoryResponse>;
}

/** Builds and starts an application. */
export async function startApplication(
  configure: (app: WebApplication) => void,
  configureBuilder: (builder: WebApplicationBuilder) => void = () => undefined,
  environment: HostEnvironment['environmentName'] = 'Production',
): Promise<MemoryApplication> {
  const server = new MemoryServer();
  const reported: unknown[] = [];
  const builder = WebApplication.createBuilder({ environment }).useServer(server);
  builder.onError = (error) => reported.push(error);
  configureBuilder(builder);
  const app = builder.build();
  configure(app);
  await app.start();
  return { app, server, reported, request: (request) => server.request(request) };
}
