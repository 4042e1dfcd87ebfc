/**
 * gRPC by hand on a WindhoverServer: messages with their prefix of five bytes, the status in trailers. What
 * the messages are is the caller's: serialize functions, no code made from .proto files.
 *
 * Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md).
 */
import type { HttpContext } from '../../lib/http/http-context.js';

const PREFIX = 5;

export interface GrpcCall {
  /** The messages of the client, as they come. */
  readonly messages: AsyncIterable<Buffer>;
  /** Sends a message. */
  readonly send: (message: Uint8Array) => Promise<void>;
  readonly context: HttpContext;
}

/** What a method fails with. */
export class GrpcError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export type GrpcMethod = (call: GrpcCall) => Promise<void>;

/** Answers a call of gRPC with one of the methods, by their paths. */
export async function serveGrpc(
  context: HttpContext,
  methods: Readonly<Record<string, GrpcMethod>>,
): Promise<void> {
  const { request, response } = context;
  response.contentType = 'application/grpc';
  if (!(request.path in methods)) {
    // No message was sent, so the status stands in the head: what gRPC calls trailers-only.
    response.headers.set('grpc-status', 12);
    response.headers.set('grpc-message', 'there is no such method');
    return;
  }
  let status = 0;
  try {
    await methods[request.path]({
      context,
      messages: readMessages(request.body),
      send: async (message) => {
        const prefix = Buffer.alloc(PREFIX);
        prefix.writeUInt32BE(message.length, 1);
        await response.write(Buffer.concat([prefix, message]));
      },
    });
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    ({ status } = error);
    response.trailers.set('grpc-message', error.message);
  }
  response.trailers.set('grpc-status', status);
}

async function* readMessages(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let known = Buffer.alloc(0);
  for await (const piece of body) {
    known = Buffer.concat([known, piece]);
    while (known.length >= PREFIX) {
      const end = PREFIX + known.readUInt32BE(1);
      if (known.length < end) break;
      yield known.subarray(PREFIX, end);
      known = known.subarray(end);
    }
  }
}
