/**
 * A client of HTTP/2 that sends exactly the frames that it is told to, also invalid ones, and takes what
 * comes back apart by the letter of RFC 9113: what a lenient client would forgive makes every wait fail.
 * It answers SETTINGS and PINGs by itself, and gives windows back, unless told otherwise.
 */
import type { Socket } from 'node:net';
import { connect as connectSocket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { HeadersOptions, SettingEntry } from './h2/frames.js';
import {
  DEFAULT_WINDOW,
  PREFACE,
  Setting,
  data,
  headers,
  ping,
  settings,
  settingsAck,
  windowUpdate,
} from './h2/frames.js';
import type { DecodedField, Field } from './h2/hpack.js';
import { block } from './h2/hpack.js';
import type { Code, DataFrame, GoawayFrame, HeadersFrame, Received } from './h2/received.js';
import { FrameReader, describe } from './h2/received.js';
import { ReceiveWindows, SendWindows } from './h2/windows.js';

/** Where a server is, and how it is judged. */
export interface H2Target {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** TLS, with these options; `h2` is offered unless they say otherwise. */
  readonly tls?: ConnectionOptions;
  /** Whether what RFC 9113 leaves open is judged by what windhover promises. */
  readonly strict?: boolean;
  /** Whether every frame is sent in a write of its own. Default false: what is sent together leaves so. */
  readonly piecemeal?: boolean;
  /** How long to wait for a frame (ms). Only a test that fails ever waits so long. */
  readonly patience?: number;
}

export interface H2Options {
  /** Our SETTINGS. Pushes are always disabled. */
  readonly settings?: readonly SettingEntry[];
  /** Whether SETTINGS and PINGs are acknowledged by themselves. Default true. */
  readonly autoAck?: boolean;
  /** Whether a WINDOW_UPDATE goes out for whatever DATA comes. Default true. */
  readonly autoWindow?: boolean;
}

/** An answer. */
export interface H2Response {
  /** 0 where the stream was reset before an answer came. */
  readonly status: number;
  readonly fields: readonly DecodedField[];
  /** By name; the values in order. Pseudo-fields are not among them. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The interim answers before it. */
  readonly interim: readonly HeadersFrame[];
  readonly body: Buffer;
  readonly text: string;
  /** The fields behind the body; `undefined` where there are none. */
  readonly trailers: ReadonlyMap<string, readonly string[]> | undefined;
  /** How the stream was reset before the answer was complete. */
  readonly reset: Code | undefined;
}

const PATIENCE = 20_000;

export class H2Client {
  /** Everything that came, in order. */
  readonly seen: Received[] = [];
  /** What the server's SETTINGS say, with the defaults of RFC 9113. */
  readonly serverSettings = new Map<number, number>([
    [Setting.HEADER_TABLE_SIZE, 4096],
    [Setting.MAX_CONCURRENT_STREAMS, Infinity],
    [Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW],
    [Setting.MAX_FRAME_SIZE, 16_384],
    [Setting.MAX_HEADER_LIST_SIZE, Infinity],
  ]);
  /** How much the server may send us. */
  readonly receiveWindows = new ReceiveWindows();
  /** How much we may send; `send` does not look at it, `upload` does. */
  readonly sendWindows = new SendWindows();
  readonly reader = new FrameReader();
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly strict: boolean;
  /** The highest stream that we have opened. */
  lastStreamId = -1;
  /** How the connection ended. */
  ending: 'end' | 'reset' | undefined = undefined;
  private readonly untaken: Received[] = [];
  private readonly waiters = new Set<() => void>();
  private readonly patience: number;
  private readonly piecemeal: boolean;
  /** Settings that we have sent and that are not acknowledged. */
  private readonly unacknowledged: (readonly SettingEntry[])[] = [];
  /** What the server did that it may not do. */
  private fault: Error | undefined = undefined;
  private pings = 0;

  private constructor(
    readonly socket: Socket,
    /** The socket of TCP beneath TLS. */
    private readonly raw: Socket,
    target: H2Target,
    private readonly options: H2Options,
  ) {
    this.scheme = target.tls === undefined ? 'http' : 'https';
    this.authority = `localhost:${String(target.port)}`;
    this.strict = target.strict ?? true;
    this.piecemeal = target.piecemeal ?? false;
    this.patience = target.patience ?? PATIENCE;
    socket.on('data', (chunk: Buffer) => {
      this.read(chunk);
    });
    socket.on('end', () => {
      this.finish('end');
    });
    socket.on('error', () => {
      this.finish('reset');
    });
    socket.on('close', () => {
      this.finish('end');
    });
  }

  /** Connects, and sends nothing. */
  static connect(target: H2Target, options: H2Options = {}): Promise<H2Client> {
    return new Promise((resolve, reject) => {
      const { host = '127.0.0.1', port, tls } = target;
      const ready = (): void => {
        socket.off('error', reject);
        raw.setNoDelay(true);
        resolve(new H2Client(socket, raw, target, options));
      };
      const raw = connectSocket({ host, port, allowHalfOpen: true });
      const socket =
        tls === undefined ? raw : connectTls({ ALPNProtocols: ['h2'], ...tls, socket: raw });
      socket.once(tls === undefined ? 'connect' : 'secureConnect', ready);
      socket.once('error', reject);
    });
  }

  /** Connects and shakes hands: both have acknowledged the other's SETTINGS. */
  static async open(target: H2Target, options: H2Options = {}): Promise<H2Client> {
    const client = await H2Client.connect(target, options);
    try {
      client.start();
      await client.take((frame) => frame.type === 'SETTINGS' && !frame.ack, 'SETTINGS');
      await client.takeSettingsAck();
    } catch (error) {
      client.destroy();
      throw error;
    }
    return client;
  }

  /** Sends the preface and our SETTINGS, and with them whatever else is given. */
  start(...frames: readonly Uint8Array[]): void {
    const entries: SettingEntry[] = [[Setting.ENABLE_PUSH, 0], ...(this.options.settings ?? [])];
    this.expectSettings(entries);
    this.send(PREFACE, settings(...entries), ...frames);
  }

  /** Sends bytes, all in one write. */
  send(...bytes: readonly Uint8Array[]): void {
    if (this.piecemeal) for (const one of bytes) this.socket.write(one);
    else this.socket.write(Buffer.concat(bytes));
  }

  /** Sends SETTINGS and keeps to them. */
  sendSettings(...entries: readonly SettingEntry[]): void {
    this.expectSettings(entries);
    this.send(settings(...entries));
  }

  /** The fields of a request, in the order that is usual; others come behind. */
  get(path = '/', extra: readonly Field[] = []): Field[] {
    return this.fields('GET', path, extra);
  }

  post(path = '/', extra: readonly Field[] = []): Field[] {
    return this.fields('POST', path, extra);
  }

  fields(method: string, path = '/', extra: readonly Field[] = []): Field[] {
    return [
      [':method', method],
      [':scheme', this.scheme],
      [':path', path],
      [':authority', this.authority],
      ...extra,
    ];
  }

  /** The next stream's id, which counts as used from here on. */
  nextId(): number {
    this.lastStreamId += 2;
    return this.lastStreamId;
  }

  /** Opens a stream with HEADERS; returns its id. The request is complete unless `endStream` is false. */
  request(fields: readonly Field[], options: HeadersOptions = {}): number {
    const id = this.nextId();
    this.send(headers(id, block(fields), { endStream: true, ...options }));
    return id;
  }

  /** A request and its answer. */
  async fetch(fields: readonly Field[], body?: string | Uint8Array): Promise<H2Response> {
    const id = this.request(fields, { endStream: body === undefined });
    if (body !== undefined) await this.upload(id, body);
    return this.response(id);
  }

  /** Sends DATA as the windows allow it; ends the stream unless told otherwise. */
  async upload(id: number, content: string | Uint8Array, endStream = true): Promise<void> {
    const bytes = Buffer.from(content as Uint8Array);
    let at = 0;
    do {
      const most = this.serverSettings.get(Setting.MAX_FRAME_SIZE) ?? 0;
      const size = Math.min(bytes.length - at, this.sendWindows.room(id), most);
      if (size <= 0 && bytes.length > 0) {
        await this.change(`room to send ${String(bytes.length - at)} bytes`);
        continue;
      }
      this.sendWindows.sent(id, size);
      const isLast = at + size === bytes.length;
      this.send(data(id, bytes.subarray(at, at + size), { endStream: endStream && isLast }));
      at += size;
    } while (at < bytes.length);
  }

  /** The answer on a stream, to its end: END_STREAM, or RST_STREAM. */
  async response(id: number): Promise<H2Response> {
    const interim: HeadersFrame[] = [];
    const parts: Buffer[] = [];
    let head: HeadersFrame | undefined;
    let trailers: HeadersFrame | undefined;
    let reset: Code | undefined;
    for (;;) {
      const frame = await this.takeOn(id);
      if (frame.type === 'RST_STREAM') {
        reset = frame.code;
        break;
      }
      if (frame.type === 'HEADERS') {
        if (head !== undefined) trailers = frame;
        else if (statusOf(frame) < 200) interim.push(frame);
        else head = frame;
      } else {
        if (head === undefined) throw new Error(`DATA before the head of ${String(id)}`);
        if (trailers !== undefined) throw new Error(`DATA behind the trailers of ${String(id)}`);
        parts.push(frame.data);
      }
      if (frame.endStream) break;
    }
    const body = Buffer.concat(parts);
    return {
      status: head === undefined ? 0 : statusOf(head),
      fields: head?.fields ?? [],
      headers: byName(head),
      interim,
      body,
      get text() {
        return body.toString('utf8');
      },
      trailers: trailers === undefined ? undefined : byName(trailers),
      reset,
    };
  }

  /** The next HEADERS, DATA or RST_STREAM on a stream. */
  takeOn(id: number): Promise<Extract<Received, { type: 'HEADERS' | 'DATA' | 'RST_STREAM' }>> {
    return this.take(
      (frame): frame is Extract<Received, { type: 'HEADERS' | 'DATA' | 'RST_STREAM' }> =>
        (frame.type === 'HEADERS' || frame.type === 'DATA' || frame.type === 'RST_STREAM') &&
        frame.streamId === id,
      `a frame on stream ${String(id)}`,
    );
  }

  /** The next DATA on a stream. */
  takeData(id: number): Promise<DataFrame> {
    return this.take(
      (frame): frame is DataFrame => frame.type === 'DATA' && frame.streamId === id,
      `DATA on stream ${String(id)}`,
    );
  }

  /** The next HEADERS on a stream. */
  takeHeaders(id: number): Promise<HeadersFrame> {
    return this.take(
      (frame): frame is HeadersFrame => frame.type === 'HEADERS' && frame.streamId === id,
      `HEADERS on stream ${String(id)}`,
    );
  }

  takeGoaway(): Promise<GoawayFrame> {
    return this.take((frame): frame is GoawayFrame => frame.type === 'GOAWAY', 'GOAWAY');
  }

  async takeReset(id: number): Promise<Code> {
    const frame = await this.take(
      (other): other is Extract<Received, { type: 'RST_STREAM' }> =>
        other.type === 'RST_STREAM' && other.streamId === id,
      `RST_STREAM on stream ${String(id)}`,
    );
    return frame.code;
  }

  async takeSettingsAck(): Promise<void> {
    await this.take((frame) => frame.type === 'SETTINGS' && frame.ack, "SETTINGS' ACK");
  }

  /** Settles when the connection is over, whatever the server said before that. */
  async ended(): Promise<'end' | 'reset'> {
    while (this.ending === undefined) await this.change('the end of the connection', true);
    return this.ending;
  }

  /** Settles when what we have sent until now was taken in: the server has answered a PING behind it. */
  async ping(): Promise<void> {
    const payload = Buffer.from(`ping${String(this.pings++).padStart(4, '0')}`);
    this.send(ping(payload));
    await this.take(
      (frame) => frame.type === 'PING' && frame.ack && frame.payload.equals(payload),
      "the PING's ACK",
    );
  }

  /**
   * The first frame that nobody has taken yet and that fits; it is waited for.
   *
   * @throws Error that tells what came instead, where it does not come in time or the connection ends.
   */
  async take<T extends Received>(
    fits: ((frame: Received) => frame is T) | ((frame: Received) => boolean),
    what: string,
  ): Promise<T> {
    for (;;) {
      if (this.fault !== undefined) throw this.error(this.fault.message);
      const at = this.untaken.findIndex((frame) => fits(frame));
      if (at >= 0) {
        const frame = this.untaken[at];
        // The end stays for those who come later.
        if (frame.type !== 'END') this.untaken.splice(at, 1);
        return frame as T;
      }
      if (this.ending !== undefined) throw this.error(`the connection ended before ${what}`);
      await this.change(what);
    }
  }

  /** Whether a frame has come that nobody has taken. */
  has(fits: (frame: Received) => boolean): boolean {
    if (this.fault !== undefined) throw this.error(this.fault.message);
    return this.untaken.some(fits);
  }

  /**
   * Settles when something more has come; rejects where nothing comes in time, or the server is at fault
   * and that is not forgiven.
   */
  change(what: string, forgiving = false): Promise<void> {
    const fails = (): boolean => this.fault !== undefined && !forgiving;
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.waiters.delete(wake);
        if (fails()) reject(this.error(String(this.fault?.message)));
        else resolve();
      };
      const timer = setTimeout(() => {
        this.waiters.delete(wake);
        reject(this.error(`waited in vain for ${what}`));
      }, this.patience);
      this.waiters.add(wake);
      if (fails()) wake();
    });
  }

  /** An error that tells what has come. */
  error(message: string): Error {
    const last = this.seen.slice(-40).map(describe).join(', ');
    const rest = this.reader.rest.length > 0 ? ` and ${String(this.reader.rest.length)} bytes` : '';
    return new Error(`${message}; seen: ${last}${rest}`);
  }

  /** Ends our side. */
  halfClose(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Ends the connection with RST. */
  reset(): void {
    this.raw.resetAndDestroy();
    this.socket.destroy();
  }

  private expectSettings(entries: readonly SettingEntry[]): void {
    this.unacknowledged.push(entries);
    for (const [id, value] of entries) {
      if (id === Setting.INITIAL_WINDOW_SIZE) this.receiveWindows.offer(value);
      if (id === Setting.MAX_FRAME_SIZE)
        this.reader.maxFrame = Math.max(value, this.reader.maxFrame);
    }
  }

  private read(chunk: Buffer): void {
    if (this.fault !== undefined) return;
    try {
      for (const frame of this.reader.read(chunk)) {
        this.note(frame);
        this.seen.push(frame);
        this.untaken.push(frame);
      }
    } catch (error) {
      this.fault = error as Error;
    }
    this.wake();
  }

  /** Does what a frame asks for. */
  private note(frame: Received): void {
    switch (frame.type) {
      case 'SETTINGS':
        if (frame.ack) this.acknowledged();
        else this.takeSettings(frame.values);
        break;
      case 'PING':
        if (!frame.ack && this.options.autoAck !== false) this.send(ping(frame.payload, true));
        break;
      case 'DATA':
        this.receiveWindows.took(frame.streamId, frame.flowLength);
        if (this.options.autoWindow !== false && frame.flowLength > 0) {
          this.giveWindow(0, frame.flowLength);
          if (!frame.endStream) this.giveWindow(frame.streamId, frame.flowLength);
        }
        break;
      case 'WINDOW_UPDATE':
        this.sendWindows.add(frame.streamId, frame.increment);
        break;
      default:
        break;
    }
  }

  /** Sends WINDOW_UPDATE and counts it. */
  giveWindow(id: number, increment: number): void {
    this.receiveWindows.add(id, increment);
    this.send(windowUpdate(id, increment));
  }

  private takeSettings(values: ReadonlyMap<number, number>): void {
    for (const [id, value] of values) {
      this.serverSettings.set(id, value);
      if (id === Setting.INITIAL_WINDOW_SIZE) this.sendWindows.setInitial(value);
    }
    if (this.options.autoAck !== false) this.send(settingsAck());
  }

  private acknowledged(): void {
    for (const [id, value] of this.unacknowledged.shift() ?? []) {
      if (id === Setting.INITIAL_WINDOW_SIZE) this.receiveWindows.settle(value);
      if (id === Setting.MAX_FRAME_SIZE) this.reader.maxFrame = value;
      if (id === Setting.HEADER_TABLE_SIZE) this.reader.decoder.setLimit(value);
    }
  }

  private finish(how: 'end' | 'reset'): void {
    if (this.ending === undefined) {
      this.ending = how;
      const end: Received = { type: 'END', how };
      this.seen.push(end);
      this.untaken.push(end);
    }
    this.wake();
  }

  private wake(): void {
    for (const waiter of [...this.waiters]) waiter();
  }
}

function statusOf(head: HeadersFrame): number {
  const { name, value } = head.fields[0] ?? { name: '', value: '' };
  if (name !== ':status' || !/^[1-9][0-9][0-9]$/.test(value)) {
    throw new Error(`an answer begins with ${name}: ${value}`);
  }
  return Number(value);
}

function byName(head: HeadersFrame | undefined): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const { name, value } of head?.fields ?? []) {
    if (name === ':status') continue;
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) throw new Error(`a field's name is ${name}`);
    map.set(name, [...(map.get(name) ?? []), value]);
  }
  return map;
}
