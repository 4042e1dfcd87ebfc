/** sendFile on a server that cannot have the system do it: the same results, by reading and writing. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { createApplication } from '../../lib/server/server.js';
import type { MemoryResponse } from '../support/memory-server.js';
import { startMemoryServer } from '../support/memory-server.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'wh-send-file-'));
test.after.always(() => {
  rmSync(FOLDER, { recursive: true, force: true });
});

const BYTES = Buffer.alloc(200_000);
for (let i = 0; i < BYTES.length; i++) BYTES[i] = i % 251;
const PATH = join(FOLDER, 'file');
writeFileSync(PATH, BYTES);

async function answer(
  delegate: (context: HttpContext) => Promise<void>,
): Promise<MemoryResponse & { readonly failures: (Error & { readonly code?: unknown })[] }> {
  const failures: Error[] = [];
  const server = await startMemoryServer(
    createApplication(delegate, { onError: (error) => failures.push(error as Error) }),
  );
  return { ...(await server.request()), failures };
}

test('a file is sent, or a part of it', async (t) => {
  for (const [offset, count] of [[], [1], [70_000, 100_000], [200_000], [5, 0]]) {
    const { chunks, headers, complete } = await answer(({ response }) =>
      response.sendFile(PATH, offset, count),
    );
    const from = offset ?? 0;
    const expected = BYTES.subarray(from, count === undefined ? undefined : from + count);
    t.true(Buffer.concat(chunks).equals(expected));
    t.is(headers.get('Content-Length'), String(expected.length));
    t.true(complete);
  }
});

test('it may stand among other pieces, and the length set before stays', async (t) => {
  const { text, headers } = await answer(async ({ response }) => {
    response.contentLength = 12;
    await response.write('[');
    await response.sendFile(PATH, 65, 10);
    await response.write(']');
  });
  t.is(text, '[ABCDEFGHIJ]');
  t.is(headers.get('Content-Length'), '12');
  const bodiless = await answer(({ response }) => {
    response.statusCode = 304;
    return response.sendFile(PATH, 0, 1);
  });
  t.false(bodiless.headers.has('Content-Length'));
});

test('what is wrong is told before the start', async (t) => {
  for (const [send, code] of [
    [(c: HttpContext) => c.response.sendFile(join(FOLDER, 'none')), 'ENOENT'],
    [(c: HttpContext) => c.response.sendFile(FOLDER), 'EISDIR'],
    [(c: HttpContext) => c.response.sendFile('/dev/null'), 'WH_ERR_NOT_A_FILE'],
    [(c: HttpContext) => c.response.sendFile(PATH, -1), 'WH_ERR_INVALID_ARGUMENT'],
    [(c: HttpContext) => c.response.sendFile(PATH, 200_001), 'WH_ERR_INVALID_ARGUMENT'],
    [(c: HttpContext) => c.response.sendFile(PATH, 1, 200_000), 'WH_ERR_INVALID_ARGUMENT'],
    [(c: HttpContext) => c.response.sendFile(5 as never), 'WH_ERR_INVALID_ARGUMENT'],
  ] as const) {
    const { failures, statusCode } = await answer(send);
    t.is(failures[0]?.code, code);
    t.is(statusCode, 500);
  }
});

test('a file that becomes shorter is told', async (t) => {
  const path = join(FOLDER, 'shrinking');
  writeFileSync(path, BYTES);
  const { failures } = await answer(async (context) => {
    context.response.onStarting(() => {
      truncateSync(path, 100);
    });
    await context.response.sendFile(path);
  });
  t.is(failures[0]?.code, 'WH_ERR_FILE_TRUNCATED');
});
