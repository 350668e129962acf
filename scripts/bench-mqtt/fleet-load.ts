import { connect, type Socket } from 'node:net';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { systemClock } from '../../dock/host/system-clock.ts';
import type { FleetMessage } from '../../agent/cli/fleet/fleet-model.ts';
import { eventId, StationMessages } from '../../test/fleet/messages.ts';
import { helperTask, sendToBench } from '../bench/helper-process.ts';

/** What simulates the stations: sockets that speak MQTT 5 and nothing more, so that one process carries thousands. */
export interface FleetLoadTask {
  readonly port: number;
  readonly stations: number;
  readonly bays: number;
  readonly cameras: number;
  /** Every so many messages of a station is its health; all others are events. */
  readonly healthEvery: number;
}

export type FleetLoadMessage =
  | { readonly kind: 'connected'; readonly documents: number; readonly documentBytes: number }
  | {
      readonly kind: 'sent';
      readonly messages: number;
      readonly acknowledged: number;
      readonly behindMs: number;
    };

const tickMs = 10;
const connectedAtOnce = 50;

class SimulatedStation {
  readonly messages: StationMessages;
  readonly #socket: Socket;
  #packetId = 0;
  #seq = 0;
  acknowledged = 0;
  sent = 0;

  private constructor(socket: Socket, index: number) {
    this.#socket = socket;
    const department = `department-${index % 20}`;
    this.messages = new StationMessages(`station-${index}`, { department, post: `post-${index % 500}` });
    this.messages.at = systemClock.now();
  }

  static async connect(port: number, index: number): Promise<SimulatedStation> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const station = new SimulatedStation(socket, index);
    const accepted = Promise.withResolvers<void>();
    socket.once('error', accepted.reject);
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    parser.on('packet', ({ cmd }: Packet) => {
      if (cmd === 'connack') accepted.resolve();
      if (cmd === 'puback') station.acknowledged += 1;
    });
    socket.on('data', (chunk: Buffer) => parser.parse(chunk));
    const { topic, payload } = station.messages.status({ state: 'lost', reason: 'connection-lost' });
    station.#write({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clientId: `bench-${index}`,
      clean: true,
      keepalive: 600,
      will: { topic, payload: Buffer.from(payload), qos: 1, retain: true },
    });
    await accepted.promise;
    return station;
  }

  /** What a station retains; returns how many bytes of payload. */
  publishDocuments({ bays, cameras }: FleetLoadTask): number {
    const { messages } = this;
    const documents = [
      messages.status(),
      messages.health(healthFields),
      messages.quota({ enrolled: cameras }),
      ...Array.from({ length: bays }, (_, bay) =>
        messages.bay(bay + 1, { phase: bay < 2 ? 'ready' : 'empty' }),
      ),
      ...Array.from({ length: cameras }, (_, index) =>
        messages.camera(`${messages.topics.base.split('/').at(-1)}-BC-${index}`, cameraFields),
      ),
    ];
    for (const document of documents) this.#publish(document);
    return documents.reduce((sum, { payload }) => sum + payload.length, 0);
  }

  publishNext(healthEvery: number): void {
    const { messages } = this;
    messages.at = systemClock.now();
    this.sent += 1;
    if (this.sent % healthEvery === 0) {
      this.#publish(messages.health({ ...healthFields, lastEventSeq: this.#seq }));
      return;
    }
    const seq = ++this.#seq;
    // Of both processes the same clock, to the microsecond.
    const sentAtMs = performance.timeOrigin + performance.now();
    const id = eventId(seq, Number.parseInt(messages.topics.base.split('-').at(-1) ?? '', 10));
    this.#publish(messages.event(seq, { id, type: 'recording-stored', data: { ...stored, sentAtMs } }));
  }

  #publish({ topic, payload, isRetained }: FleetMessage): void {
    this.#packetId = (this.#packetId % 65_535) + 1;
    this.#write({
      cmd: 'publish',
      topic,
      payload: Buffer.from(payload),
      qos: 1,
      dup: false,
      retain: isRetained,
      messageId: this.#packetId,
      properties: { contentType: 'application/json', payloadFormatIndicator: true },
    });
  }

  #write(packet: Packet): void {
    this.#socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
  }
}

const healthFields = {
  vaultFreeBytes: 1_500_000_000_000,
  vaultTotalBytes: 2_000_000_000_000,
  vaultBytesPerDay: 40_000_000_000,
  vaultSecondsUntilFull: 3_240_000,
  stateFreeBytes: 50_000_000_000,
  stateTotalBytes: 60_000_000_000,
  memoryTotalBytes: 8_000_000_000,
  memoryAvailableBytes: 6_000_000_000,
  agentResidentBytes: 90_000_000,
  load5: 0.2,
  processors: 4,
  temperatureCelsius: 51.5,
  clockBoundMs: 2.5,
  backupAgeSeconds: 1800,
};

const cameraFields = {
  model: 'Body Camera 7',
  firmware: '2.4.1',
  batteryPercent: 80,
  batteryMillivolts: 3900,
  storageTotalBytes: 128_000_000_000,
  storageFreeBytes: 90_000_000_000,
  clockOffsetMs: 12.5,
  clockUncertaintyMs: 3.1,
  clockDriftPpm: 4.2,
  lastSessionOutcome: 'complete',
};

const stored = {
  serialNumber: 'BC-100482',
  sessionId: '01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071',
  path: '/DCIM/100MEDIA/20261123_000123_0001.MP4',
  sizeBytes: '1073741824',
  recordingId: '0123456789abcdef0123456789abcdef',
  sha256: '0123456789abcdef'.repeat(4),
  storedPath: 'kordai/2026/11/23/BC-100482/0123456789abcdef01234567.MP4',
  cameraDigest: 'listed',
};

/** Each station once a second, all spread evenly over it. */
async function sendForEver(stations: readonly SimulatedStation[], healthEvery: number): Promise<never> {
  const startedAt = systemClock.monotonic();
  let reportedAt = startedAt;
  for (let sent = 0; ;) {
    const dueNow = Math.floor(((systemClock.monotonic() - startedAt) * stations.length) / 1000);
    while (sent < dueNow) stations[sent++ % stations.length]?.publishNext(healthEvery);
    const now = systemClock.monotonic();
    if (now - reportedAt >= 1000) {
      reportedAt = now;
      const behindMs = now - startedAt - (sent * 1000) / stations.length;
      const messages = stations.reduce((sum, station) => sum + station.sent, 0);
      const acknowledged = stations.reduce((sum, station) => sum + station.acknowledged, 0);
      sendToBench({ kind: 'sent', messages, acknowledged, behindMs } satisfies FleetLoadMessage);
    }
    await systemClock.sleep(tickMs);
  }
}

const task = helperTask<FleetLoadTask>();
const stations: SimulatedStation[] = [];
while (stations.length < task.stations) {
  const count = Math.min(connectedAtOnce, task.stations - stations.length);
  const first = stations.length;
  stations.push(
    ...(await Promise.all(
      Array.from({ length: count }, (_, index) => SimulatedStation.connect(task.port, first + index)),
    )),
  );
}
let documentBytes = 0;
for (const [index, station] of stations.entries()) {
  documentBytes += station.publishDocuments(task);
  if (index % connectedAtOnce === 0) await systemClock.sleep(1);
}
const documents = stations.length * (3 + task.bays + task.cameras);
while (stations.reduce((sum, { acknowledged }) => sum + acknowledged, 0) < documents)
  await systemClock.sleep(50);
for (const station of stations) station.acknowledged = 0;
sendToBench({ kind: 'connected', documents, documentBytes } satisfies FleetLoadMessage);
await new Promise((resolve) => process.once('message', resolve));
await sendForEver(stations, task.healthEvery);
