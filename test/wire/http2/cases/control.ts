/** RFC 9113 sections 6.5, 6.7, 6.8 and 7: SETTINGS, PING, GOAWAY and error codes. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import {
  Flag,
  FrameType,
  Setting,
  frame,
  goaway,
  ping,
  rstStream,
  settings,
  settingsPayload,
} from '../../../support/h2/frames.js';
import { alive, answered, closes, connectionError, serves } from '../../../support/h2/verdicts.js';

/** Settings out of their range, and the error that each is. */
const BAD_SETTINGS = [
  ['ENABLE_PUSH', 2, 'PROTOCOL_ERROR'],
  ['ENABLE_PUSH', 2 ** 32 - 1, 'PROTOCOL_ERROR'],
  ['INITIAL_WINDOW_SIZE', 2 ** 31, 'FLOW_CONTROL_ERROR'],
  ['INITIAL_WINDOW_SIZE', 2 ** 32 - 1, 'FLOW_CONTROL_ERROR'],
  ['MAX_FRAME_SIZE', 2 ** 14 - 1, 'PROTOCOL_ERROR'],
  ['MAX_FRAME_SIZE', 0, 'PROTOCOL_ERROR'],
  ['MAX_FRAME_SIZE', 2 ** 24, 'PROTOCOL_ERROR'],
] as const;

/** Settings at the ends of their ranges. */
const GOOD_SETTINGS = [
  ['HEADER_TABLE_SIZE', 0],
  ['HEADER_TABLE_SIZE', 2 ** 32 - 1],
  ['ENABLE_PUSH', 0],
  ['MAX_CONCURRENT_STREAMS', 0],
  ['MAX_CONCURRENT_STREAMS', 2 ** 32 - 1],
  ['INITIAL_WINDOW_SIZE', 2 ** 31 - 1],
  ['MAX_FRAME_SIZE', 2 ** 14],
  ['MAX_FRAME_SIZE', 2 ** 24 - 1],
  ['MAX_HEADER_LIST_SIZE', 2 ** 32 - 1],
] as const;

export const control: readonly Case[] = [
  simple('6.5.3 SETTINGS are acknowledged, each once', async (client) => {
    client.send(settings(), settings([Setting.MAX_CONCURRENT_STREAMS, 50]), settings());
    for (let i = 0; i < 3; i++) await client.takeSettingsAck();
    await alive(client);
    if (client.has((got) => got.type === 'SETTINGS' && got.ack)) throw client.error('one more');
  }),
  simple('6.5 an acknowledgement with a payload is a FRAME_SIZE_ERROR', async (client) => {
    client.send(frame(FrameType.SETTINGS, Flag.ACK, 0, settingsPayload([[1, 1]])));
    await connectionError(client, 'FRAME_SIZE_ERROR');
  }),
  simple('6.5 SETTINGS on a stream are a connection error', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(frame(FrameType.SETTINGS, 0, id, settingsPayload([[3, 100]])));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.5 SETTINGS on an idle stream are a connection error', async (client) => {
    client.send(frame(FrameType.SETTINGS, 0, 1));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  ...[1, 3, 5, 7].map((length) =>
    simple(`6.5 SETTINGS of ${String(length)} bytes are a FRAME_SIZE_ERROR`, async (client) => {
      client.send(frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(length)));
      await connectionError(client, 'FRAME_SIZE_ERROR');
    }),
  ),
  ...BAD_SETTINGS.map(([name, value, code]) =>
    simple(`6.5.2 ${name} of ${String(value)} is a ${code}`, async (client) => {
      client.send(settings([Setting[name], value]));
      await connectionError(client, code);
    }),
  ),
  simple('6.5.2 a wrong value is seen among right ones', async (client) => {
    client.send(
      settings(
        [Setting.MAX_CONCURRENT_STREAMS, 10],
        [Setting.MAX_FRAME_SIZE, 1],
        [Setting.HEADER_TABLE_SIZE, 4096],
      ),
    );
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  ...GOOD_SETTINGS.map(([name, value]) =>
    simple(`6.5.2 ${name} of ${String(value)} is taken`, async (client) => {
      client.sendSettings([Setting[name], value]);
      await client.takeSettingsAck();
      await serves(client);
    }),
  ),
  simple('6.5.2 unknown settings are ignored', async (client) => {
    client.send(settings([0, 1], [0xff, 1], [0xffff, 2 ** 32 - 1]));
    await client.takeSettingsAck();
    await serves(client);
  }),
  simple(
    '6.5.2 frames are no larger than MAX_FRAME_SIZE allows',
    async (client) => {
      // The reader takes offence at larger ones.
      const { body } = await answered(client, client.request(client.get('/large')));
      if (body.length < 100_000) throw client.error(`${String(body.length)} bytes`);
    },
    ['large'],
    { settings: [[Setting.INITIAL_WINDOW_SIZE, 1_000_000]] },
  ),
  simple(
    '6.5.2 a table size of 0 for the server: no block refers to a dynamic table',
    async (client) => {
      for (let i = 0; i < 3; i++) await serves(client);
      if (client.reader.decoder.size > 0) throw client.error('the dynamic table is in use');
    },
    [],
    { settings: [[Setting.HEADER_TABLE_SIZE, 0]] },
  ),
  simple('6.5.2 a table that gets smaller is told in the next block', async (client) => {
    for (let i = 0; i < 2; i++) await serves(client);
    // The decoder takes offence where a block does not begin with the new size.
    client.sendSettings([Setting.HEADER_TABLE_SIZE, 0]);
    await client.takeSettingsAck();
    for (let i = 0; i < 2; i++) await serves(client);
    client.sendSettings([Setting.HEADER_TABLE_SIZE, 4096]);
    await client.takeSettingsAck();
    for (let i = 0; i < 2; i++) await serves(client);
  }),
  simple('6.7 PING is answered with its payload', async (client) => {
    for (const payload of ['\0\0\0\0\0\0\0\0', 'windhove', '\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8']) {
      const bytes = Buffer.from(payload, 'latin1');
      client.send(ping(bytes));
      await client.take(
        (got) => got.type === 'PING' && got.ack && got.payload.equals(bytes),
        `an ACK of ${JSON.stringify(payload)}`,
      );
    }
    await alive(client);
  }),
  simple('6.7 PING with ACK is not answered', async (client) => {
    const unasked = Buffer.from('unasked!');
    client.send(ping(unasked, true));
    await alive(client);
    if (client.has((got) => got.type === 'PING' && got.payload.equals(unasked))) {
      throw client.error('it is');
    }
  }),
  simple('6.7 PING on a stream is a connection error', async (client) => {
    client.send(frame(FrameType.PING, 0, 1, 'windhove'));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  ...[0, 6, 7, 9].map((length) =>
    simple(`6.7 PING of ${String(length)} bytes is a FRAME_SIZE_ERROR`, async (client) => {
      client.send(frame(FrameType.PING, 0, 0, Buffer.alloc(length)));
      await connectionError(client, 'FRAME_SIZE_ERROR');
    }),
  ),
  simple('6.7 PING is answered while a request runs', async (client) => {
    client.request(client.post('/drain'), { endStream: false });
    for (let i = 0; i < 5; i++) await client.ping();
  }),
  simple('6.8 GOAWAY on a stream is a connection error', async (client) => {
    client.send(frame(FrameType.GOAWAY, 0, 1, Buffer.alloc(8)));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  ...[0, 4, 7].map((length) =>
    simple(`6.8 GOAWAY of ${String(length)} bytes is a FRAME_SIZE_ERROR`, async (client) => {
      client.send(frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(length)));
      await connectionError(client, 'FRAME_SIZE_ERROR');
    }),
  ),
  simple("6.8 a client's GOAWAY lets its streams finish", async (client) => {
    const id = client.request(client.get());
    client.send(goaway(0, 'NO_ERROR', 'good bye'));
    await answered(client, id);
    if (client.strict) await closes(client);
  }),
  simple("6.8 a client's GOAWAY on an idle connection ends it", async (client) => {
    await serves(client);
    client.send(goaway(0, 'NO_ERROR'));
    if (client.strict) {
      if ((await client.ended()) !== 'end') throw client.error('it was reset');
    } else {
      client.halfClose();
      await closes(client);
    }
  }),
  simple('7 GOAWAY with an unknown error code is no trouble', async (client) => {
    const id = client.request(client.get());
    client.send(goaway(0, 0xff, 'unknown'));
    // A server may go on, or end the connection in good order.
    await Promise.race([answered(client, id).catch(() => closes(client)), closes(client)]);
    if (client.has((got) => got.type === 'GOAWAY' && got.code !== 'NO_ERROR')) {
      throw client.error('the server complains');
    }
  }),
  simple('7 RST_STREAM with an unknown error code is as good as any', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(rstStream(id, 0xff));
    await serves(client);
  }),
];
