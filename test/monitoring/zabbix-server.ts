import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { inflateSync } from 'node:zlib';
import { z } from 'zod';

/** A value that an agent sent of its own accord. */
export interface AgentValue {
  readonly key: string;
  readonly value: string;
  readonly isSupported: boolean;
}

const request = z.discriminatedUnion('request', [
  z.object({ request: z.literal('active checks'), host: z.string() }),
  z.object({
    request: z.literal('agent data'),
    data: z.array(
      z.object({ itemid: z.number(), value: z.string().default(''), state: z.number().default(0) }),
    ),
  }),
  z.object({ request: z.literal('active check heartbeat') }),
]);

const headBytes = 13;
const deflated = 2;

/**
 * As much of a Zabbix server as an agent needs for its active checks, the only ones that mqtt.get answers: it is
 * asked what to check and told what came.
 */
export class ZabbixServer implements AsyncDisposable {
  readonly values: AgentValue[] = [];
  /** What an agent that asks is to check. It asks when it starts, and once a minute. */
  keys: readonly string[] = [];
  readonly #server: Server;
  #asked: readonly string[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ZabbixServer> {
    const server = createServer();
    const zabbix = new ZabbixServer(server);
    server.on('connection', (socket) => void zabbix.#serve(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return zabbix;
  }

  get port(): number {
    const address = this.#server.address();
    if (typeof address !== 'object' || !address) throw new Error('not listening');
    return address.port;
  }

  /** Values of one key, oldest first. */
  of(key: string): AgentValue[] {
    return this.values.filter((value) => value.key === key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** One request for each connection: "ZBXD", flags, lengths of what follows and of what it inflates to, then JSON. */
  async #serve(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    let received = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, chunk]);
      if (received.length < headBytes) continue;
      const end = headBytes + received.readUInt32LE(5);
      if (received.length < end) continue;
      const isDeflated = (received.readUInt8(4) & deflated) !== 0;
      const body = received.subarray(headBytes, end);
      const text = (isDeflated ? inflateSync(body) : body).toString();
      const answer = Buffer.from(JSON.stringify(this.#answer(text)));
      const head = Buffer.from('ZBXD\u0001\0\0\0\0\0\0\0\0');
      head.writeUInt32LE(answer.length, 5);
      socket.end(Buffer.concat([head, answer]));
    }
  }

  #answer(text: string): object {
    const message = request.parse(JSON.parse(text));
    switch (message.request) {
      case 'active checks':
        this.#asked = this.keys;
        return {
          response: 'success',
          data: this.#asked.map((key, index) => ({
            key,
            itemid: index + 1,
            delay: '60',
            lastlogsize: 0,
            mtime: 0,
          })),
        };
      case 'agent data':
        for (const { itemid, value, state } of message.data)
          this.values.push({ key: this.#asked[itemid - 1] ?? '', value, isSupported: state === 0 });
        return { response: 'success', info: 'processed' };
      case 'active check heartbeat':
        return { response: 'success' };
    }
  }
}
