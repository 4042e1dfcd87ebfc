import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { startChild } from '../support/child.js';
import { within } from '../support/until.js';

const GIGABYTE = 1_073_741_824;
const WARM_UP = 134_217_728;
const FILE_SIZE = 67_108_864;
/** The memory that a body of a gigabyte may take on top (bytes). */
const EXTRA = 64 * 1_048_576;
const BLOCK = Buffer.alloc(1_048_576, 'a');

/** Sends a body of so many bytes, in the pace of the server; the text of the answer's body. */
function upload(port: number, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let left = size;
    let answer = '';
    const send = (): void => {
      while (left > 0) {
        left -= BLOCK.length;
        if (!socket.write(BLOCK)) return;
      }
    };
    socket.on('drain', send);
    socket.on('error', reject);
    socket.on('data', (data: Buffer) => {
      answer += data.toString('latin1');
    });
    socket.on('close', () => {
      resolve(answer.slice(answer.indexOf('\r\n\r\n') + 4));
    });
    socket.write(
      `POST /up HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ${String(size)}\r\n\r\n`,
    );
    send();
  });
}

/** Takes an answer and throws it away; the number of bytes, its head included. */
function download(port: number, target: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const socket = connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer: Buffer.alloc(262_144),
        callback: (length) => {
          received += length;
          return true;
        },
      },
    });
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(received);
    });
    socket.write(`GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
  });
}

test('a gigabyte streams through in either direction within 64 MB', async (t) => {
  t.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), 'wh-streaming-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'file');
  writeFileSync(file, Buffer.alloc(FILE_SIZE, 'a')); // sent again and again
  const child = startChild(t, 'lifecycle/children/stream.js', { args: [file] });
  const { port } = JSON.parse(await child.line()) as { port: number };
  const report = async (): Promise<{ most: number; cpu: number }> => {
    child.process.stdin?.write('report\n');
    return JSON.parse(await child.line()) as { most: number; cpu: number };
  };
  for (const [name, transfer] of [
    ['upload', async (size: number) => Number(await upload(port, size))],
    ['download', async (size: number) => download(port, `/down?${String(size)}`)],
    ['sendFile', async (size: number) => download(port, `/file?${String(size)}`)],
  ] as const) {
    await transfer(WARM_UP);
    const before = await report();
    const begin = performance.now();
    const moved = await within(transfer(GIGABYTE), name, 60_000);
    const elapsed = performance.now() - begin;
    const after = await report();
    t.true(moved >= GIGABYTE, `${name}: ${String(moved)}`);
    const extra = after.most - before.most;
    t.log(
      `${name}: ${(extra / 1e6).toFixed(1)} MB more, ${(after.most / 1e6).toFixed(0)} MB in all, ` +
        `${elapsed.toFixed(0)} ms, ${(after.cpu - before.cpu).toFixed(0)} ms CPU`,
    );
    t.true(extra < EXTRA, `${name}: ${String(extra)}`);
  }
});
