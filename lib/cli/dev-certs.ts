/** `windhover dev-certs`: a certificate for https://localhost. Source: `dotnet dev-certs https`. */
import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { CertificateFiles } from '../server/development-certificate.js';
import { developmentCertificatePaths } from '../server/development-certificate.js';
import type { Command } from './command.js';
import { CommandError, Status, UsageError } from './command.js';
import type { FoundCertificate } from './development-certificates.js';
import { create, inspect, MISSING, remove, replace } from './development-certificates.js';
import { distrust, isTrusted, trust } from './trust.js';

const HELP = `Usage: windhover dev-certs [--check | --clean] [--trust] [--export-path FILE]

Makes a certificate for https://localhost, 127.0.0.1, [::1] and *.dev.localhost, unless there is one that is
valid. Endpoints that speak TLS and have no other certificate use it.

  --check             makes nothing: tells whether there is one (status 0) or not (status 1);
                      with --trust, whether this machine trusts it
  --trust             has this machine trust it (as root, on Debian and what comes of it), or tells how to
  --export-path FILE  writes the certificate to FILE and its key beside it, with the ending .key (PEM)
  --clean             deletes it, and what --trust installed

It is kept in $XDG_CONFIG_HOME/windhover/dev-certs, or in ~/.config/windhover/dev-certs. Never use it for
anything but this machine: its key is not protected.`;

export const devCerts: Command = {
  name: 'dev-certs',
  summary: 'makes a certificate for https://localhost, and has the machine trust it',
  help: HELP,
  run,
};

function run(args: readonly string[]): number {
  const { values } = parseArgs({
    args: [...args],
    options: {
      check: { type: 'boolean', default: false },
      trust: { type: 'boolean', default: false },
      clean: { type: 'boolean', default: false },
      'export-path': { type: 'string' },
    },
  });
  const { check, clean, trust: wantsTrust, 'export-path': exportPath } = values;
  if (clean && (check || wantsTrust || exportPath !== undefined)) {
    throw new UsageError('--clean stands alone');
  }
  if (check && exportPath !== undefined) throw new UsageError('--check writes nothing');
  const files = developmentCertificatePaths();
  if (clean) return cleanUp(files);
  if (check) return tell(files, wantsTrust ?? false);
  const found = ensure(files);
  if (exportPath !== undefined) exportTo(resolve(exportPath), files);
  if (wantsTrust) console.log(trust(found.certificate, files.certFile));
  return Status.OK;
}

function ensure(files: CertificateFiles): FoundCertificate {
  let found = inspect(files);
  if (typeof found === 'string') {
    const why = found;
    create(files);
    found = inspect(files);
    if (typeof found === 'string') throw new CommandError(`${files.certFile}: ${found}`);
    console.log(why === MISSING ? 'Made a certificate:' : `Made a new one, because ${why}:`);
  }
  describe(files, found);
  return found;
}

function describe({ certFile, keyFile }: CertificateFiles, { validTo }: FoundCertificate): void {
  console.log(`  certificate  ${certFile}`);
  console.log(`  key          ${keyFile}`);
  console.log(`  valid until  ${validTo.toISOString().slice(0, 10)}`);
}

function tell(files: CertificateFiles, wantsTrust: boolean): number {
  const found = inspect(files);
  if (typeof found === 'string') {
    console.log(`No development certificate can be used: ${found}.`);
    return Status.FAILED;
  }
  describe(files, found);
  if (!wantsTrust) return Status.OK;
  const trusted = isTrusted(found.certificate);
  console.log(trusted ? 'This machine trusts it.' : 'This machine was not told to trust it.');
  return trusted ? Status.OK : Status.FAILED;
}

function exportTo(path: string, { certFile, keyFile }: CertificateFiles): void {
  const keyPath = `${path.slice(0, path.length - extname(path).length)}.key`;
  if (keyPath === path) throw new UsageError('--export-path is for the certificate, not for .key');
  replace(path, readFileSync(certFile), 0o644);
  replace(keyPath, readFileSync(keyFile), 0o600);
  console.log(`Written: ${path}, ${keyPath}`);
}

function cleanUp(files: CertificateFiles): number {
  const found = inspect(files);
  if (typeof found !== 'string' && distrust(found.certificate)) {
    console.log('This machine trusts it no more.');
  }
  console.log(remove(files) ? 'Deleted.' : 'There was none.');
  return Status.OK;
}
