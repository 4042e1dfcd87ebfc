/** RFC 9113 section 3: how HTTP/2 starts. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import {
  Flag,
  FrameType,
  PREFACE,
  Setting,
  frame,
  headers,
  ping,
  priority,
  settings,
  settingsAck,
  windowUpdate,
} from '../../../support/h2/frames.js';
import { block } from '../../../support/h2/hpack.js';
import { alive, answered, closes, connectionError, serves } from '../../../support/h2/verdicts.js';

/** What does not begin as a client of HTTP/2 must. The server may say so, or just close. */
const BAD_PREFACES: readonly (readonly [what: string, bytes: string])[] = [
  ['something else', 'INVALID CONNECTION PREFACE\r\n\r\n'],
  ['a wrong last byte', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\rX'],
  ['a wrong byte within', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'],
  ['the preface of a draft', 'PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n'],
  ['frames without it', settings().toString('latin1') + ping().toString('latin1')],
  ['zeros', '\0'.repeat(24)],
];

export const starting: readonly Case[] = [
  simple('3.4 the server begins with SETTINGS and acknowledges ours', (client) => serves(client)),
  {
    title: '3.4 SETTINGS of ours may be empty',
    run: async (trial) => {
      const client = await trial.connect();
      client.send(PREFACE, settings());
      await client.takeSettingsAck();
      await serves(client);
    },
  },
  {
    title: '3.4 a request may come with the preface, before any SETTINGS of the server',
    run: async (trial) => {
      const client = await trial.connect();
      const id = client.nextId();
      client.start(headers(id, block(client.get()), { endStream: true }));
      await answered(client, id);
    },
  },
  {
    title: '3.4 the preface may come byte by byte',
    run: async (trial) => {
      // Nothing of ours may come between the bytes.
      const client = await trial.connect({ autoAck: false, autoWindow: false });
      const id = client.nextId();
      const request = headers(id, block(client.get()), { endStream: true });
      for (const byte of Buffer.concat([PREFACE, settings(), request])) {
        await new Promise((resolve) => client.socket.write(Buffer.of(byte), resolve));
      }
      await answered(client, id);
    },
  },
  ...BAD_PREFACES.map(([what, bytes]): Case => ({
    title: `3.4 a connection that begins with ${what} is closed`,
    only: 'cleartext',
    run: async (trial) => {
      const client = await trial.connect();
      client.send(Buffer.from(bytes, 'latin1'));
      await closes(client);
    },
  })),
  {
    title: '3.4 over TLS, too, the preface has to be right once h2 is agreed on',
    only: 'tls',
    run: async (trial) => {
      const client = await trial.connect();
      client.send(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'));
      await closes(client);
    },
  },
  {
    title: '3.4 a half of the preface and then the end is no harm',
    run: async (trial) => {
      const client = await trial.connect();
      client.send(PREFACE.subarray(0, 10));
      client.halfClose();
      await closes(client);
      await serves(await trial.open());
    },
  },
  ...(
    [
      ['HEADERS', headers(1, block([[':method', 'GET']]), { endStream: true })],
      ['PING', ping()],
      ['WINDOW_UPDATE', windowUpdate(0, 1)],
      ['PRIORITY', priority(1, { dependency: 0 })],
      ["SETTINGS' ACK", settingsAck()],
      ['an unknown frame', frame(0xbe, 0, 0, 'unknown')],
    ] as const
  ).map(([what, first]): Case => ({
    title: `3.4 the first frame of a client is SETTINGS and not ${what}`,
    run: async (trial) => {
      const client = await trial.connect();
      client.lastStreamId = 1;
      client.send(PREFACE, first);
      await connectionError(client, 'PROTOCOL_ERROR');
    },
  })),
  {
    title: '3.4 an acknowledgement of the first SETTINGS does not have to come first',
    run: async (trial) => {
      const client = await trial.connect({ autoAck: false });
      client.start();
      await serves(client);
      client.send(settingsAck());
      await serves(client);
    },
  },
  simple('3.4 a second preface is no frame', async (client) => {
    client.send(PREFACE);
    // "PRI * HT" reads as a frame of 5,263,945 bytes.
    await connectionError(client, 'FRAME_SIZE_ERROR', 'PROTOCOL_ERROR');
  }),
  simple("6.5.2 the server's settings are in their ranges", async (client) => {
    const check = (id: number, least: number, most: number): void => {
      const value = client.serverSettings.get(id);
      if (value !== undefined && value !== Infinity && (value < least || value > most)) {
        throw new Error(`setting ${String(id)} is ${String(value)}`);
      }
    };
    check(Setting.ENABLE_PUSH, 0, 0);
    check(Setting.INITIAL_WINDOW_SIZE, 0, 2 ** 31 - 1);
    check(Setting.MAX_FRAME_SIZE, 2 ** 14, 2 ** 24 - 1);
    check(Setting.ENABLE_CONNECT_PROTOCOL, 0, 1);
    check(Setting.NO_RFC7540_PRIORITIES, 0, 1);
    if (client.strict) {
      // Section 6.5.2: at least 100, so as not to limit parallelism without need.
      check(Setting.MAX_CONCURRENT_STREAMS, 100, 2 ** 32 - 1);
      if (client.serverSettings.get(Setting.ENABLE_CONNECT_PROTOCOL) !== 1) {
        throw client.error('ENABLE_CONNECT_PROTOCOL is not 1');
      }
    }
  }),
  simple('9.1 a connection serves one request after the other', async (client) => {
    for (let i = 0; i < 20; i++) await answered(client, client.request(client.get()));
    await alive(client);
  }),
  simple('4.1 flags that SETTINGS does not know are ignored', async (client) => {
    client.send(frame(FrameType.SETTINGS, 0xff & ~Flag.ACK, 0));
    await client.takeSettingsAck();
    await serves(client);
  }),
];
