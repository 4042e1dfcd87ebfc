// Brings the sources of llhttp and nghttp2 into native/deps/vendor/ (never committed), from Debian's
// packages: security-maintained, signed, and reached through the mirror that the machine already uses.
//
//   node native/deps/fetch.mjs            what is there already stays as it is
//   node native/deps/fetch.mjs --force    fetches anew
//
// vendor/manifest.json then names the packages, their versions, and the sha256 of what was downloaded
// and of every file that was kept. The published npm package carries the filled folder.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { requireTools } from '../../scripts/lib/debian.mjs';
import { PlainError, main, root, run } from '../../scripts/lib/run.mjs';
import { PrivateApt } from './apt.mjs';

const VENDOR = path.join(root, 'native/deps/vendor');
const MANIFEST = path.join(VENDOR, 'manifest.json');

/** llhttp's generated C: only this suite has a package that contains it. */
const LLHTTP = { package: 'node-llhttp', suite: 'bookworm' };
/** nghttp2's source, with Debian's (security) patches applied. */
const NGHTTP2 = { package: 'nghttp2', suite: 'trixie' };

/** Makes sure that native/deps/vendor is filled. Throws a PlainError that says what is missing. */
export function fetchSources({ force = false } = {}) {
  if (!force && isFilled()) return false;
  requireTools('fetching the sources of llhttp and nghttp2', [
    { program: 'apt-get', package: 'apt' },
    { program: 'dpkg-deb', package: 'dpkg' },
    { program: 'dpkg-source', package: 'dpkg-dev' },
  ]);
  console.log('windhover: fetching the sources of llhttp and nghttp2');
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'windhover-deps-'));
  // Filled beside its place and moved there whole, so that an interrupted run leaves nothing half done.
  const staging = `${VENDOR}.${process.pid}`;
  try {
    const apt = new PrivateApt(path.join(scratch, 'apt'));
    apt.update([
      { suite: LLHTTP.suite, type: 'deb' },
      { suite: NGHTTP2.suite, type: 'deb-src' },
    ]);
    const manifest = {
      llhttp: fetchLlhttp(apt, path.join(scratch, 'llhttp'), path.join(staging, 'llhttp')),
      nghttp2: fetchNghttp2(apt, path.join(scratch, 'nghttp2'), path.join(staging, 'nghttp2')),
    };
    writeFileSync(path.join(staging, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    rmSync(VENDOR, { recursive: true, force: true });
    renameSync(staging, VENDOR);
  } finally {
    rmSync(staging, { recursive: true, force: true });
    rmSync(scratch, { recursive: true, force: true });
  }
  const { llhttp, nghttp2 } = readManifest();
  console.log(
    `windhover: llhttp ${llhttp.version}, nghttp2 ${nghttp2.version} in native/deps/vendor`,
  );
  return true;
}

/** What vendor/manifest.json says, or undefined. */
export function readManifest() {
  return existsSync(MANIFEST) ? JSON.parse(readFileSync(MANIFEST, 'utf8')) : undefined;
}

function isFilled() {
  const manifest = readManifest();
  return (
    manifest !== undefined &&
    ['llhttp', 'nghttp2'].every((name) =>
      Object.keys(manifest[name]?.files ?? {}).every((file) =>
        existsSync(path.join(VENDOR, name, file)),
      ),
    )
  );
}

function fetchLlhttp(apt, scratch, target) {
  mkdirSync(scratch, { recursive: true });
  apt.downloadBinary(LLHTTP.package, scratch);
  const deb = only(scratch, '.deb');
  run('dpkg-deb', ['-x', deb, path.join(scratch, 'tree')]);
  const share = path.join(scratch, 'tree/usr/share');

  mkdirSync(path.join(target, 'include'), { recursive: true });
  mkdirSync(path.join(target, 'src'), { recursive: true });
  for (const file of ['api.c', 'http.c', 'llhttp.c']) {
    copyFileSync(path.join(share, 'llhttp', file), path.join(target, 'src', file));
  }
  const header = readFileSync(path.join(share, 'include/llhttp/llhttp.h'), 'utf8');
  // The header asks for default visibility by itself on some compilers. Node exports functions of the
  // same names, and ours must never be taken for them.
  writeFileSync(
    path.join(target, 'include/llhttp.h'),
    header.replaceAll('__attribute__((visibility("default")))', ''),
  );
  copyFileSync(
    path.join(share, 'doc', LLHTTP.package, 'copyright'),
    path.join(target, 'copyright'),
  );
  return describe(LLHTTP, llhttpVersion(header), [deb], target);
}

function llhttpVersion(header) {
  return ['MAJOR', 'MINOR', 'PATCH']
    .map((part) => new RegExp(`LLHTTP_VERSION_${part} (\\d+)`).exec(header)?.[1] ?? '?')
    .join('.');
}

function fetchNghttp2(apt, scratch, target) {
  mkdirSync(scratch, { recursive: true });
  apt.downloadSource(NGHTTP2.package, scratch);
  const tree = path.join(scratch, 'tree');
  // apt has checked the signatures and sums already; extracting applies Debian's patches.
  run('dpkg-source', ['--no-check', '-x', only(scratch, '.dsc'), tree], { quiet: true });

  const library = path.join(tree, 'lib');
  const headers = path.join(library, 'includes/nghttp2');
  mkdirSync(path.join(target, 'include/nghttp2'), { recursive: true });
  mkdirSync(path.join(target, 'src'), { recursive: true });
  for (const file of readdirSync(library)) {
    if (/\.[ch]$/.test(file))
      copyFileSync(path.join(library, file), path.join(target, 'src', file));
  }
  copyFileSync(path.join(headers, 'nghttp2.h'), path.join(target, 'include/nghttp2/nghttp2.h'));
  const version = nghttp2Version(tree);
  writeFileSync(
    path.join(target, 'include/nghttp2/nghttp2ver.h'),
    versionHeader(readFileSync(path.join(headers, 'nghttp2ver.h.in'), 'utf8'), version),
  );
  copyFileSync(path.join(tree, 'COPYING'), path.join(target, 'COPYING'));
  copyFileSync(path.join(tree, 'debian/copyright'), path.join(target, 'copyright'));
  const downloads = readdirSync(scratch)
    .filter((file) => file !== 'tree')
    .map((file) => path.join(scratch, file));
  return describe(NGHTTP2, version, downloads, target);
}

function nghttp2Version(tree) {
  const version = /AC_INIT\(\[nghttp2\], \[([\d.]+)/.exec(
    readFileSync(path.join(tree, 'configure.ac'), 'utf8'),
  )?.[1];
  if (version === undefined) throw new PlainError("nghttp2's configure.ac names no version");
  return version;
}

function versionHeader(template, version) {
  const number = version
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('');
  return template
    .replaceAll('@PACKAGE_VERSION@', version)
    .replaceAll('@PACKAGE_VERSION_NUM@', `0x${number}`);
}

/** A manifest's entry: the package, where it came from, and sums of what was downloaded and kept. */
function describe({ package: name, suite }, version, downloads, target) {
  const downloaded = downloads.sort().map((file) => [path.basename(file), sha256(file)]);
  // A Debian file name: name_version[_architecture].extension
  const debian = decodeURIComponent(
    path.basename(downloads.find((file) => /\.(deb|dsc)$/.test(file))),
  )
    .replace(/\.(deb|dsc)$/, '')
    .split('_')[1];
  return {
    version,
    package: name,
    suite,
    packageVersion: debian,
    downloads: Object.fromEntries(downloaded),
    files: Object.fromEntries(
      filesUnder(target).map((file) => [file, sha256(path.join(target, file))]),
    ),
  };
}

function filesUnder(folder, prefix = '') {
  return readdirSync(path.join(folder, prefix), { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory()
        ? filesUnder(folder, path.posix.join(prefix, entry.name))
        : [path.posix.join(prefix, entry.name)],
    )
    .sort();
}

function sha256(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function only(folder, extension) {
  const found = readdirSync(folder).filter((file) => file.endsWith(extension));
  if (found.length !== 1)
    throw new PlainError(`expected one ${extension} file, found ${found.length}`);
  return path.join(folder, found[0]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(() => {
    if (!fetchSources({ force: process.argv.includes('--force') })) {
      const { llhttp, nghttp2 } = readManifest();
      console.log(
        `windhover: llhttp ${llhttp.version}, nghttp2 ${nghttp2.version} are there already`,
      );
    }
  });
}
