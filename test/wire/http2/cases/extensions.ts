/** RFC 8441 (extended CONNECT), RFC 9218 (priorities), and CONNECT (RFC 9113 section 8.5). */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import type { H2Client } from '../../../support/h2-client.js';
import {
  FrameType,
  Setting,
  frame,
  priorityUpdate,
  settings,
  uint32,
} from '../../../support/h2/frames.js';
import type { Field } from '../../../support/h2/hpack.js';
import {
  alive,
  answered,
  connectionError,
  malformed,
  serves,
} from '../../../support/h2/verdicts.js';

/** An extended CONNECT; without the pseudo-field of a name where one is given. */
function extended(client: H2Client, without = '', extra: readonly Field[] = []): Field[] {
  const fields: Field[] = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', client.scheme],
    [':path', '/chat'],
    [':authority', client.authority],
    ['sec-websocket-version', '13'],
    ...extra,
  ];
  return fields.filter(([name]) => name !== without);
}

/** Values of `priority` that are no dictionary, or out of range: ignored (RFC 9218 sections 4 and 5). */
const BAD_PRIORITIES = [
  'u=8',
  'u=-1',
  'u="high"',
  'i=2',
  'u',
  '((',
  '"',
  '',
  'ü=1',
  'u=1;;;',
  ',,,',
];

export const extensions: readonly Case[] = [
  simple(
    '8441 3 the server lets CONNECT be extended',
    async (client) => {
      if (client.serverSettings.get(Setting.ENABLE_CONNECT_PROTOCOL) !== 1) {
        throw client.error('ENABLE_CONNECT_PROTOCOL is not 1');
      }
    },
    ['extended-connect'],
  ),
  simple(
    '8441 4 an extended CONNECT is a request like others',
    async (client) => {
      // The application takes no tunnel there: a 2xx would say that it does (RFC 8441 section 5).
      const id = client.request(extended(client), { endStream: false });
      const { fields } = await client.takeHeaders(id);
      if (fields[0].value !== '405') throw client.error(fields[0].value);
      await alive(client);
    },
    ['extended-connect', 'application'],
  ),
  ...[':scheme', ':path', ':authority'].map((name) =>
    simple(
      `8441 4 an extended CONNECT without ${name} is malformed`,
      async (client) => {
        await malformed(client, client.request(extended(client, name), { endStream: false }));
        await serves(client);
      },
      ['extended-connect', 'application'],
    ),
  ),
  simple('8441 4 :protocol with another method is malformed', async (client) => {
    const fields = extended(client).map((field): Field => {
      return field[0] === ':method' ? [':method', 'GET'] : field;
    });
    await malformed(client, client.request(fields));
    if (client.strict) await serves(client);
  }),
  simple(
    '8441 4 :protocol twice is malformed',
    async (client) => {
      const fields: Field[] = [[':protocol', 'other'], ...extended(client)];
      await malformed(client, client.request(fields, { endStream: false }));
      await serves(client);
    },
    ['extended-connect', 'application'],
  ),
  simple(
    '8441 4 an empty :protocol is malformed',
    async (client) => {
      const fields: Field[] = [[':protocol', ''], ...extended(client, ':protocol')];
      await malformed(client, client.request(fields, { endStream: false }));
      await serves(client);
    },
    ['extended-connect', 'application'],
  ),
  simple(
    '8441 5 connection and upgrade are as wrong with an extended CONNECT',
    async (client) => {
      const fields = extended(client, '', [['upgrade', 'websocket']]);
      await malformed(client, client.request(fields, { endStream: false }));
      await serves(client);
    },
    ['extended-connect', 'application'],
  ),
  simple(
    '8.5 CONNECT with :authority alone reaches the application',
    async (client) => {
      const fields: Field[] = [
        [':method', 'CONNECT'],
        [':authority', 'example.com:443'],
      ];
      const id = client.request(fields, { endStream: false });
      const { fields: answer } = await client.takeHeaders(id);
      if (!/^[2-5]/.test(answer[0].value)) throw client.error(answer[0].value);
      await alive(client);
    },
    ['application'],
  ),
  ...[...BAD_PRIORITIES, 'u=0', 'u=7, i', 'i', 'u=3;x=y, a=(1 2)'].map((value) =>
    simple(`9218 5 a priority field of ${JSON.stringify(value)} does no harm`, async (client) => {
      const bytes = Buffer.from(value, 'utf8').toString('latin1');
      await answered(client, client.request(client.get('/', [['priority', bytes]])));
      await alive(client);
    }),
  ),
  simple('9218 7.1 PRIORITY_UPDATE for streams of every state is taken', async (client) => {
    client.send(priorityUpdate(1, 'u=0'), priorityUpdate(3, 'u=7, i'));
    const one = client.request(client.get());
    client.send(priorityUpdate(one, 'i'));
    await answered(client, one);
    client.send(priorityUpdate(one, 'u=1'));
    await serves(client);
  }),
  simple('9218 7.1 PRIORITY_UPDATE with a value that is none does no harm', async (client) => {
    const one = client.request(client.get());
    client.send(...BAD_PRIORITIES.map((value) => priorityUpdate(one, value)));
    await answered(client, one);
    await serves(client);
  }),
  simple(
    '9218 7.1 PRIORITY_UPDATE on a stream is a connection error',
    async (client) => {
      client.send(priorityUpdate(1, 'u=1', 1));
      await connectionError(client, 'PROTOCOL_ERROR');
    },
    ['priorities'],
  ),
  simple(
    '9218 7.1 PRIORITY_UPDATE for stream 0 is a connection error',
    async (client) => {
      client.send(priorityUpdate(0, 'u=1'));
      await connectionError(client, 'PROTOCOL_ERROR');
    },
    ['priorities'],
  ),
  simple(
    '9218 7.1 PRIORITY_UPDATE of less than 4 bytes is a FRAME_SIZE_ERROR',
    async (client) => {
      client.send(frame(FrameType.PRIORITY_UPDATE, 0, 0, uint32(1).subarray(0, 3)));
      await connectionError(client, 'FRAME_SIZE_ERROR');
    },
    ['priorities'],
  ),
  simple(
    '9218 2.1 NO_RFC7540_PRIORITIES of 2 is a PROTOCOL_ERROR',
    async (client) => {
      client.send(settings([Setting.NO_RFC7540_PRIORITIES, 2]));
      await connectionError(client, 'PROTOCOL_ERROR');
    },
    ['priorities'],
  ),
];
