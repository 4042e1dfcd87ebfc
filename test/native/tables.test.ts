import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import {
  HeaderId,
  headerIds,
  headerNames,
  headerNamesLower,
} from '../../lib/native/generated/header-names.js';
import { MethodId, methodIds, methodNames } from '../../lib/native/generated/methods.js';
import { Slot } from '../../lib/native/generated/shared-layout.js';
import { reasonPhrases } from '../../lib/native/generated/status.js';

/** The root of the package, from dist/test/native/. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

test('the generated tables are what the text files say', async (t) => {
  const generator = join(root, 'native', 'tables', 'generate.mjs');
  t.true(existsSync(generator));
  // Exits 1, naming the stale files, where one differs; execFile then rejects with what it said.
  await t.notThrowsAsync(promisify(execFile)(process.execPath, [generator, '--check']));
});

test('header names, their lower case and their numbers agree', (t) => {
  t.is(headerNames[HeaderId.ContentLength], 'Content-Length');
  t.is(headerNames[HeaderId.Etag], 'ETag');
  t.is(headerIds.get('transfer-encoding'), HeaderId.TransferEncoding);
  t.is(headerIds.get('Host'), undefined);
  t.is(headerIds.get(''), undefined);
  t.is(headerNames.length, headerNamesLower.length);
  t.is(headerNames.length, headerIds.size + 1);
  t.is(Object.keys(HeaderId).length, headerIds.size);
  t.deepEqual([headerNames[0], headerNamesLower[0]], ['', '']);
  for (const [lower, id] of headerIds) {
    t.is(headerNames[id]?.toLowerCase(), lower);
    t.is(headerNamesLower[id], lower);
  }
  // A set of the commonest names fits 64 bits.
  t.true(HeaderId.Host < 64 && HeaderId.Cookie < 64 && HeaderId.SetCookie < 64);
});

test('methods and their numbers agree', (t) => {
  t.is(methodNames[MethodId.GET], 'GET');
  t.is(methodNames[MethodId.VERSION_CONTROL], 'VERSION-CONTROL');
  t.is(methodIds.get('QUERY'), MethodId.QUERY);
  t.is(methodIds.get('get'), undefined);
  t.is(methodNames.length, methodIds.size + 1);
});

test('status codes have the phrases of the registry', (t) => {
  t.is(reasonPhrases[200], 'OK');
  t.is(reasonPhrases[413], 'Content Too Large');
  t.is(reasonPhrases[418], "I'm a teapot");
  t.is(reasonPhrases[499], undefined);
});

test('the fields of a slot do not overlap', (t) => {
  const offsets = Object.values(Slot).sort((a, b) => a - b);
  t.is(new Set(offsets).size, offsets.length);
});
