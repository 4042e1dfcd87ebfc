/** Where the example listens if nobody says anything. */
import type { WebApplicationBuilder } from '../../lib/index.js';
import { findDevelopmentCertificate } from '../../lib/index.js';

/** HTTP, and HTTPS where `npx windhover dev-certs` has made a certificate; none where somebody has chosen. */
export function defaultUrls(
  { configuration, server, urls }: WebApplicationBuilder,
  variables: Readonly<Record<string, string | undefined>> = process.env,
): string[] {
  const { PORT = '' } = variables;
  const isChosen = configuration.has('urls') || server.endpoints.length > 0 || urls.size > 0;
  if (isChosen || PORT !== '' || findDevelopmentCertificate() === undefined) return [];
  return ['http://localhost:5000', 'https://localhost:5001'];
}
