// A private apt: package lists, cache and sources of its own in a scratch folder, so that the system's
// are neither needed nor touched, and root is not needed. Only the mirrors' addresses come from the
// machine's own configuration.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PlainError, capture, run } from '../../scripts/lib/run.mjs';
import { osRelease } from '../../scripts/lib/debian.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export class PrivateApt {
  #scratch;
  #options;
  #mirrors;

  /** @param scratch an empty folder for lists and caches */
  constructor(scratch) {
    this.#scratch = scratch;
    for (const folder of ['lists/partial', 'cache/archives/partial', 'etc']) {
      mkdirSync(path.join(scratch, folder), { recursive: true });
    }
    writeFileSync(path.join(scratch, 'status'), '');
    this.#mirrors = findMirrors(scratch);
    this.#options = [
      ...privateFolders(scratch),
      `-oDir::Etc::sourcelist=${path.join(scratch, 'etc/windhover.sources')}`,
      '-oDir::Etc::sourceparts=/dev/null',
      '-oDir::Etc::preferences=/dev/null',
      '-oDir::Etc::preferencesparts=/dev/null',
      '-oAPT::Default-Release=',
      '-oAcquire::Languages=none',
      '-oAcquire::Retries=3',
      '-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
      '-oAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false',
    ];
  }

  /**
   * Reads the lists of some suites.
   * @param wanted list of { suite, type: 'deb' | 'deb-src' }
   */
  update(wanted) {
    const stanzas = [];
    for (const { suite, type } of wanted) {
      stanzas.push(this.#stanza(type, this.#mirrors.main, suite));
      if (this.#mirrors.security !== undefined) {
        stanzas.push(this.#stanza(type, this.#mirrors.security, `${suite}-security`));
      }
    }
    writeFileSync(path.join(this.#scratch, 'etc/windhover.sources'), stanzas.join('\n'));
    run('apt-get', [...this.#options, '-q', 'update'], { quiet: true, env: plainEnvironment() });
  }

  /** Downloads one binary package into `folder`; gives back nothing. */
  downloadBinary(name, folder) {
    this.#fetch(['download', name], folder);
  }

  /** Downloads one source package (.dsc and what it names) into `folder`. */
  downloadSource(name, folder) {
    this.#fetch(['source', '--download-only', name], folder);
  }

  #fetch(args, folder) {
    run('apt-get', [...this.#options, '-q', ...args], {
      quiet: true,
      cwd: folder,
      env: plainEnvironment(),
    });
  }

  #stanza(type, site, suite) {
    const lines = [`Types: ${type}`, `URIs: ${site}`, `Suites: ${suite}`, 'Components: main'];
    if (existsSync(KEYRING)) lines.push(`Signed-By: ${KEYRING}`);
    return `${lines.join('\n')}\n`;
  }
}

function privateFolders(scratch) {
  return [
    `-oDir::State::lists=${path.join(scratch, 'lists')}`,
    `-oDir::State::status=${path.join(scratch, 'status')}`,
    `-oDir::Cache=${path.join(scratch, 'cache')}`,
    '-oDebug::NoLocking=1',
    '-oAPT::Sandbox::User=',
  ];
}

/**
 * The Debian mirrors that this machine uses: { main, security? }. `update --print-uris` lists what an
 * update would read, and works before any update was run.
 */
function findMirrors(scratch) {
  const release = osRelease();
  if (release.ID !== 'debian') {
    throw new PlainError(
      'the sources of llhttp and nghttp2 are fetched from Debian packages, and this is not Debian: ' +
        'copy native/deps/vendor from a Debian machine or from the published windhover package',
    );
  }
  const listed = capture('apt-get', [...privateFolders(scratch), '--print-uris', 'update'], {
    env: plainEnvironment(),
  });
  const places = [...listed.matchAll(/^'([^']+?)\/?\/dists\/([^']+?)\/(?:In)?Release' /gm)].map(
    ([, site, suite]) => ({ site, suite }),
  );
  const main = places.find(({ suite }) => suite === release.VERSION_CODENAME) ?? places[0];
  const security = places.find(({ suite }) => suite === `${release.VERSION_CODENAME}-security`);
  if (main === undefined) {
    throw new PlainError('apt names no Debian mirror: add one to /etc/apt/sources.list.d first');
  }
  return { main: main.site, security: security?.site };
}

function plainEnvironment() {
  return { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' };
}
