/** RFC 9113 sections 5.2 and 6.9: windows. The client takes offence at DATA that exceeds one. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import type { H2Client } from '../../../support/h2-client.js';
import {
  FrameType,
  MAX_WINDOW,
  Setting,
  data,
  frame,
  settings,
  windowUpdate,
} from '../../../support/h2/frames.js';
import {
  alive,
  answered,
  connectionError,
  serves,
  streamError,
} from '../../../support/h2/verdicts.js';

/** Windows are ours to give. */
function byHand(window: number): { settings: [number, number][]; autoWindow: false } {
  return { settings: [[Setting.INITIAL_WINDOW_SIZE, window]], autoWindow: false };
}

/** Takes DATA of a stream until so many bytes have come. */
async function takeBytes(client: H2Client, id: number, count: number): Promise<void> {
  for (let left = count; left > 0;) {
    const { data: bytes, endStream } = await client.takeData(id);
    left -= bytes.length;
    if (left < 0 || (endStream && left > 0)) throw client.error(`${String(-left)} bytes more`);
  }
}

/** No DATA has come by the time that a PING is answered. */
async function noData(client: H2Client, id: number): Promise<void> {
  await client.ping();
  await client.ping();
  if (client.has((got) => got.type === 'DATA' && got.streamId === id && got.flowLength > 0)) {
    throw client.error('DATA without a window');
  }
}

export const flowControl: readonly Case[] = [
  simple(
    '6.9.1 a window of 1 is used byte by byte',
    async (client) => {
      const id = client.request(client.get());
      for (let i = 0; i < 3; i++) {
        const { data: bytes } = await client.takeData(id);
        if (bytes.length !== 1) throw client.error(`${String(bytes.length)} bytes`);
        await noData(client, id);
        client.giveWindow(id, 1);
      }
      client.giveWindow(id, 100_000);
      while (!(await client.takeData(id)).endStream);
    },
    [],
    byHand(1),
  ),
  simple(
    '6.9.2 a window of 0: the head comes and no byte of the body',
    async (client) => {
      const id = client.request(client.get());
      await client.takeHeaders(id);
      await noData(client, id);
      client.giveWindow(id, 10);
      await takeBytes(client, id, 10);
    },
    [],
    byHand(0),
  ),
  simple(
    '6.9.1 the window of the connection is shared by its streams',
    async (client) => {
      const ids = [1, 2].map(() => client.request(client.get('/large')));
      let got = 0;
      while (got < 65_535) {
        const frame = await client.take((one) => one.type === 'DATA', 'DATA');
        got += frame.type === 'DATA' ? frame.flowLength : 0;
      }
      await client.ping();
      if (client.has((one) => one.type === 'DATA' && one.flowLength > 0)) {
        throw client.error('DATA without a window');
      }
      client.giveWindow(0, 1_000_000);
      await Promise.all(ids.map((id) => client.response(id).catch(() => undefined)));
      await alive(client);
    },
    ['large'],
    byHand(1_000_000),
  ),
  simple(
    '6.9.2 a smaller initial window can make a window negative',
    async (client) => {
      const id = client.request(client.get('/large'));
      await takeBytes(client, id, 1000);
      client.sendSettings([Setting.INITIAL_WINDOW_SIZE, 400]);
      await client.takeSettingsAck();
      // The window is -600 now.
      client.giveWindow(id, 600);
      await noData(client, id);
      client.giveWindow(id, 5);
      await takeBytes(client, id, 5);
      await noData(client, id);
    },
    ['large'],
    byHand(1000),
  ),
  simple(
    '6.9.2 a larger initial window is one for streams that are open',
    async (client) => {
      const id = client.request(client.get('/large'));
      await client.takeHeaders(id);
      client.sendSettings([Setting.INITIAL_WINDOW_SIZE, 7]);
      await takeBytes(client, id, 7);
      await noData(client, id);
      client.sendSettings([Setting.INITIAL_WINDOW_SIZE, 1007]);
      await takeBytes(client, id, 1000);
    },
    ['large'],
    byHand(0),
  ),
  simple(
    '6.9.2 the initial window is not one of the connection',
    async (client) => {
      const id = client.request(client.get('/large'));
      await takeBytes(client, id, 65_535);
      client.sendSettings([Setting.INITIAL_WINDOW_SIZE, 2_000_000]);
      await client.takeSettingsAck();
      await noData(client, id);
      client.giveWindow(0, 5);
      await takeBytes(client, id, 5);
      client.giveWindow(0, 100_000);
    },
    ['large'],
    byHand(1_000_000),
  ),
  simple(
    '6.5.3 of one setting in one frame the last value counts, in their order',
    async (client) => {
      client.sendSettings([Setting.INITIAL_WINDOW_SIZE, 100], [Setting.INITIAL_WINDOW_SIZE, 1]);
      await client.takeSettingsAck();
      const id = client.request(client.get());
      const { data: bytes } = await client.takeData(id);
      if (bytes.length !== 1) throw client.error(`${String(bytes.length)} bytes`);
    },
    [],
    { autoWindow: false },
  ),
  simple('6.9 WINDOW_UPDATE of 0 on the connection is a PROTOCOL_ERROR', async (client) => {
    client.send(windowUpdate(0, 0));
    await connectionError(client, 'PROTOCOL_ERROR');
  }),
  simple('6.9 WINDOW_UPDATE of 0 on a stream is a PROTOCOL_ERROR', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(windowUpdate(id, 0));
    await streamError(client, id, ['PROTOCOL_ERROR'], { orConnection: true });
  }),
  ...[0, 3, 5].map((length) =>
    simple(`6.9 WINDOW_UPDATE of ${String(length)} bytes is a FRAME_SIZE_ERROR`, async (client) => {
      client.send(frame(FrameType.WINDOW_UPDATE, 0, 0, Buffer.alloc(length, 1)));
      await connectionError(client, 'FRAME_SIZE_ERROR');
    }),
  ),
  simple('6.9 WINDOW_UPDATE of a wrong length on a stream ends the connection', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(frame(FrameType.WINDOW_UPDATE, 0, id, Buffer.alloc(3, 1)));
    await connectionError(client, 'FRAME_SIZE_ERROR');
  }),
  simple('6.9 the reserved bit of an increment is ignored', async (client) => {
    client.send(frame(FrameType.WINDOW_UPDATE, 0, 0, Buffer.of(0x80, 0, 0, 1)));
    const id = client.request(client.get());
    client.send(frame(FrameType.WINDOW_UPDATE, 0, id, Buffer.of(0x80, 0, 0, 1)));
    await answered(client, id);
    await alive(client);
  }),
  simple('6.9.1 a window of 2^31-1 is allowed', async (client) => {
    client.send(windowUpdate(0, MAX_WINDOW - 65_535));
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(windowUpdate(id, MAX_WINDOW - 65_535), data(id, 'x', { endStream: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple('6.9.1 a larger window of the connection is a FLOW_CONTROL_ERROR', async (client) => {
    client.send(windowUpdate(0, MAX_WINDOW), windowUpdate(0, MAX_WINDOW));
    await connectionError(client, 'FLOW_CONTROL_ERROR');
  }),
  simple('6.9.1 one byte more than 2^31-1 is too much', async (client) => {
    client.send(windowUpdate(0, MAX_WINDOW - 65_535), windowUpdate(0, 1));
    await connectionError(client, 'FLOW_CONTROL_ERROR');
  }),
  simple('6.9.1 a larger window of a stream is a FLOW_CONTROL_ERROR', async (client, trial) => {
    const path = trial.strict ? '/hold' : '/';
    const id = client.request(client.post(path), { endStream: false });
    client.send(windowUpdate(id, MAX_WINDOW), windowUpdate(id, MAX_WINDOW));
    await streamError(client, id, ['FLOW_CONTROL_ERROR'], { orConnection: false });
  }),
  simple(
    '6.9.2 an initial window that makes one larger than 2^31-1 is a FLOW_CONTROL_ERROR',
    async (client, trial) => {
      const path = trial.strict ? '/hold' : '/drain';
      const id = client.request(client.post(path), { endStream: false });
      client.send(windowUpdate(id, MAX_WINDOW - 65_535));
      client.send(settings([Setting.INITIAL_WINDOW_SIZE, 65_536]));
      await connectionError(client, 'FLOW_CONTROL_ERROR');
    },
  ),
  simple(
    '5.2 a client that exceeds the window of a stream is a FLOW_CONTROL_ERROR',
    async (client) => {
      const id = client.request(client.post('/hold'), { endStream: false });
      await client.ping();
      const room = client.sendWindows.room(id);
      for (let sent = 0; sent <= room; sent += 16_384) client.send(data(id, Buffer.alloc(16_384)));
      await streamError(client, id, ['FLOW_CONTROL_ERROR'], { orConnection: true });
    },
    ['application'],
  ),
  simple(
    '5.2 a client that exceeds the window of the connection is a FLOW_CONTROL_ERROR',
    async (client) => {
      const room = client.sendWindows.ofConnection();
      let id = 0;
      let left = 0;
      for (let sent = 0; sent <= room; sent += 16_384) {
        if (left < 16_384) {
          id = client.request(client.post('/hold'), { endStream: false });
          left = client.sendWindows.ofStream(id);
        }
        left -= 16_384;
        client.send(data(id, Buffer.alloc(16_384)));
      }
      await connectionError(client, 'FLOW_CONTROL_ERROR');
    },
    ['application'],
  ),
  simple(
    '6.1 padding counts for the windows, with its length field',
    async (client) => {
      const id = client.request(client.post('/hold'), { endStream: false });
      await client.ping();
      await client.upload(id, Buffer.alloc(client.sendWindows.room(id) - 256), false);
      client.send(data(id, 'x', { padding: 255 }));
      await streamError(client, id, ['FLOW_CONTROL_ERROR'], { orConnection: true });
    },
    ['application'],
  ),
  simple(
    '6.9.1 what nobody reads of a reset stream is given back to the connection',
    async (client) => {
      // More in all than the connection's window.
      let sent = 0;
      const enough = 3 * Math.max(client.sendWindows.ofConnection(), 65_535);
      while (sent < enough) {
        const id = client.request(client.post('/hold'), { endStream: false });
        const room = Math.min(client.sendWindows.ofStream(id), 500_000);
        await client.upload(id, Buffer.alloc(room), false);
        sent += room;
        client.send(frame(FrameType.RST_STREAM, 0, id, Buffer.of(0, 0, 0, 8)));
      }
      await serves(client);
    },
    ['application'],
  ),
  simple(
    '6.9 windows are refilled: a body of some megabytes is taken',
    async (client) => {
      const id = client.request(client.post('/drain'), { endStream: false });
      const upload = client.upload(id, Buffer.alloc(3_000_000));
      const [response] = await Promise.all([client.response(id), upload]);
      if (response.text !== 'drained') throw client.error(response.text);
      await alive(client);
    },
    ['application'],
  ),
];
