import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import mqttPacket, { type IConnackPacket, type IConnectPacket, type IPublishPacket } from 'mqtt-packet';

/** What the broker does with a CONNECT or a PUBLISH; nothing answered means it stays silent. */
export interface BrokerManners {
  connack?: (
    connect: IConnectPacket,
  ) => Pick<IConnackPacket, 'reasonCode' | 'properties'> | 'silence' | 'cut';
  puback?: (publish: Published) => 'acknowledge' | 'silence' | 'cut' | { reasonCode: number };
}

export interface Published {
  /** Number of the connection, from 1. */
  readonly connection: number;
  readonly topic: string;
  readonly payload: string;
  readonly packet: IPublishPacket;
}

/**
 * The smallest broker that speaks MQTT 5, to misbehave on demand: aedes speaks 3.1.1 only. It delivers nothing but what
 * it is told to.
 */
export class FakeBroker implements AsyncDisposable {
  readonly connects: IConnectPacket[] = [];
  readonly published: Published[] = [];
  /** Most messages of one connection that waited for their acknowledgement at once. */
  mostUnacknowledged = 0;
  manners: BrokerManners;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(manners: BrokerManners) {
    this.manners = manners;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(manners: BrokerManners = {}): Promise<FakeBroker> {
    const broker = new FakeBroker(manners);
    broker.#server.listen(0, '127.0.0.1');
    await once(broker.#server, 'listening');
    return broker;
  }

  get url(): string {
    const address = this.#server.address();
    return `mqtt://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }

  /** Events among what was published, oldest first. */
  events(): { connection: number; id: string; seq: number }[] {
    return this.published
      .filter(({ topic }) => topic.includes('/event/'))
      .map(({ connection, payload }) => ({
        connection,
        ...(JSON.parse(payload) as { id: string; seq: number }),
      }));
  }

  /** Sends a message to everybody who is connected. */
  deliver(message: Omit<IPublishPacket, 'cmd' | 'dup' | 'qos' | 'retain'>): void {
    const packet: IPublishPacket = { ...message, cmd: 'publish', dup: false, qos: 0, retain: false };
    for (const socket of this.#sockets) socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    const parser = mqttPacket.parser();
    let connection = 0;
    let unacknowledged = 0;
    parser.on('error', () => socket.destroy());
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect') {
        connection = this.connects.push(packet);
        const answer = this.manners.connack?.(packet) ?? { reasonCode: 0 };
        if (answer === 'cut') socket.destroy();
        else if (answer !== 'silence') {
          const connack = { cmd: 'connack', sessionPresent: false, ...answer } as const;
          socket.write(mqttPacket.generate(connack, { protocolVersion: 5 }));
        }
      } else if (packet.cmd === 'publish') {
        const { topic, messageId } = packet;
        const published = { connection, topic, payload: packet.payload.toString(), packet };
        this.published.push(published);
        this.mostUnacknowledged = Math.max(this.mostUnacknowledged, ++unacknowledged);
        const answer = this.manners.puback?.(published) ?? 'acknowledge';
        if (answer === 'cut') socket.destroy();
        else if (answer !== 'silence' && messageId !== undefined) {
          const { reasonCode } = answer === 'acknowledge' ? { reasonCode: 0 } : answer;
          // A little later, as over a network, so that a window can fill.
          setImmediate(() => {
            unacknowledged--;
            if (socket.writable) {
              socket.write(
                mqttPacket.generate({ cmd: 'puback', messageId, reasonCode }, { protocolVersion: 5 }),
              );
            }
          });
        }
      } else if (packet.cmd === 'subscribe') {
        const granted = packet.subscriptions.map(({ qos }) => qos);
        const suback = { cmd: 'suback', messageId: packet.messageId ?? 0, granted } as const;
        socket.write(mqttPacket.generate(suback, { protocolVersion: 5 }));
      } else if (packet.cmd === 'pingreq') {
        socket.write(mqttPacket.generate({ cmd: 'pingresp' }));
      }
    });
    socket.on('data', (chunk) => parser.parse(Buffer.from(chunk)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
