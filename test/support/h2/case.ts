/** Cases of conformance: what a client does, and what has to come back, over whatever transport. */
import type { H2Options, H2Target } from '../h2-client.js';
import { H2Client } from '../h2-client.js';

/** What a case needs of the server beside HTTP/2 itself. */
export type Need =
  /** The paths of `conformance-server.ts`. */
  | 'application'
  /** A `/large` of 100,000 bytes or more. */
  | 'large'
  /** RFC 8441. */
  | 'extended-connect'
  /** RFC 9218. */
  | 'priorities';

export interface Case {
  /** The section of RFC 9113, or the number of another RFC and the section, and what is so. */
  readonly title: string;
  readonly needs?: readonly Need[];
  readonly only?: 'cleartext' | 'tls';
  readonly run: (trial: Trial) => Promise<void>;
}

/** One run of a case: connections to one server, which are closed when it is done. */
export class Trial {
  private readonly clients: H2Client[] = [];

  constructor(readonly target: H2Target) {}

  /** Whether the server is windhover, so that what it promises beyond the RFC holds. */
  get strict(): boolean {
    return this.target.strict ?? true;
  }

  /** A connection on which both sides' SETTINGS are acknowledged. */
  async open(options?: H2Options): Promise<H2Client> {
    return this.keep(await H2Client.open(this.target, options));
  }

  /** A connection on which nothing was sent. */
  async connect(options?: H2Options): Promise<H2Client> {
    return this.keep(await H2Client.connect(this.target, options));
  }

  close(): void {
    for (const client of this.clients) client.destroy();
  }

  private keep(client: H2Client): H2Client {
    this.clients.push(client);
    return client;
  }
}

/** A case of one connection that has shaken hands. */
export function simple(
  title: string,
  run: (client: H2Client, trial: Trial) => Promise<void>,
  needs: readonly Need[] = [],
  options: H2Options = {},
): Case {
  return { title, needs, run: async (trial) => run(await trial.open(options), trial) };
}
