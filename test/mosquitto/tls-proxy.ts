import { once } from 'node:events';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { Mosquitto } from './mosquitto.ts';

const protocolVersion = 5;

/** Stands before a broker under its name, and sees and keeps what it says to the station, and who the station is. */
export class TlsProxy implements AsyncDisposable {
  /** Of the certificate of each connection, oldest first. */
  readonly serialNumbers: string[] = [];
  /** What of the broker's answers does not reach the station. */
  isKept: (packet: Packet) => boolean = () => false;
  /** Messages of the station whose answer is to be known by its number. */
  onPublish: (publish: { topic: string; payload: string; messageId: number }) => void = () => undefined;
  readonly #sockets = new Set<TLSSocket>();
  readonly #server: Server;

  private constructor(broker: Mosquitto) {
    const own = { ...broker.credentials('broker'), minVersion: 'TLSv1.3' as const };
    this.#server = createServer({ ...own, requestCert: true }, (near) => {
      this.serialNumbers.push(near.getPeerCertificate().serialNumber);
      const far = connect({ ...broker.credentials(), host: '127.0.0.1', port: broker.port });
      this.#copy(far, near, (packet) => !this.isKept(packet));
      this.#copy(near, far, (packet) => {
        if (packet.cmd !== 'publish') return true;
        const { topic, messageId = 0 } = packet;
        this.onPublish({ topic, messageId, payload: packet.payload.toString() });
        return true;
      });
    });
  }

  static async to(broker: Mosquitto): Promise<TlsProxy> {
    const proxy = new TlsProxy(broker);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    return `mqtts://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }

  #copy(from: TLSSocket, to: TLSSocket, passes: (packet: Packet) => boolean): void {
    const parser = mqttPacket.parser({ protocolVersion });
    parser.on('packet', (packet) => {
      if (passes(packet) && to.writable) to.write(mqttPacket.generate(packet, { protocolVersion }));
    });
    this.#sockets.add(from);
    from.on('data', (chunk) => parser.parse(Buffer.from(chunk)));
    from.on('error', () => undefined);
    from.once('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
