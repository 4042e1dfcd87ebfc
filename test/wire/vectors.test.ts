/**
 * Every case of test/vectors/http1.txt over sockets: whole, in two pieces, and in pieces of one byte. The
 * core alone is put to the same in native/test/vectors_test.c, at every byte without exception.
 */
import test from 'ava';
import type { Http1Options } from '../../lib/server/options.js';
import type { Attempt } from '../support/vector-judge.js';
import { judgeAll, tell } from '../support/vector-judge.js';
import type { VectorCase } from '../support/vectors.js';
import { readVectors } from '../support/vectors.js';
import { startServer } from '../support/wire-server.js';

/** Connections at once. */
const TOGETHER = 64;
/** A case that is longer is split at its first bytes, and at so many others. */
const LONG = 200;
const SPLITS_OF_LONG = 24;
/** A case is sent in so many pieces at most. */
const MOST_PIECES = 200;

const vectors = readVectors();
const sections = new Map<string, VectorCase[]>();
for (const vector of vectors) {
  const key = `${vector.section}${vector.relaxed === undefined ? '' : ` (${vector.relaxed})`}`;
  sections.set(key, [...(sections.get(key) ?? []), vector]);
}

function optionsOf({ relaxed }: VectorCase): Http1Options {
  if (relaxed === undefined) return {};
  return { [`allow${relaxed.charAt(0).toUpperCase()}${relaxed.slice(1)}`]: true };
}

function whole(vector: VectorCase): Attempt[] {
  return [{ vector, pieces: [vector.input], how: 'whole' }];
}

function inTwo(vector: VectorCase): Attempt[] {
  const { input } = vector;
  const attempts: Attempt[] = [];
  const step = input.length > LONG ? Math.ceil(input.length / SPLITS_OF_LONG) : 1;
  for (let at = 1; at < input.length; at += at < 40 ? 1 : step) {
    const pieces = [input.subarray(0, at), input.subarray(at)];
    attempts.push({ vector, pieces, how: `split at ${String(at)}` });
  }
  return attempts;
}

function inBytes(vector: VectorCase): Attempt[] {
  const { input } = vector;
  const size = Math.ceil(input.length / MOST_PIECES);
  const pieces: Buffer[] = [];
  for (let at = 0; at < input.length; at += size) pieces.push(input.subarray(at, at + size));
  return [{ vector, pieces, how: `in pieces of ${String(size)}` }];
}

test('there are more than 400 cases, no name comes twice, and each says where it is from', (t) => {
  t.true(vectors.length > 400);
  t.is(new Set(vectors.map(({ name }) => name)).size, vectors.length);
  for (const { name, from } of vectors) t.regex(from, /RFC|A[0-9]|issue|URL Standard/, name);
});

for (const [title, cases] of sections) {
  for (const [how, cut] of [
    ['whole', whole],
    ['in two', inTwo],
    ['byte by byte', inBytes],
  ] as const) {
    // One after the other: each piece has to be read by itself.
    test.serial(`${title}, ${how}`, async (t) => {
      const server = await startServer(t, tell, { http1: optionsOf(cases[0]) });
      const attempts = cases.flatMap(cut);
      for (let i = 0; i < attempts.length; i += TOGETHER) {
        t.deepEqual(await judgeAll(server, attempts.slice(i, i + TOGETHER)), []);
      }
      t.deepEqual(server.reported, []);
    });
  }
}
