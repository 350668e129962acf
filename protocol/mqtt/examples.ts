import type { z } from 'zod';
import { channels, type ChannelName } from './channels.ts';
import { commands, type CommandName } from './commands.ts';
import { exampleEvents } from './example-events.ts';
import { eventTypes, type EventEnvelope, type EventType } from './events.ts';
import { stationTopics } from './topics.ts';
import { channelSchemaId, commandSchemaId, eventSchemaId, schemaIds } from './schema-ids.ts';

/** A message as a person may meet it: checked against its schema, shown on the page and in the AsyncAPI document. */
export interface Example {
  readonly topic: string;
  readonly payload: Record<string, unknown>;
}

const topics = stationTopics({ department: 'almaty', post: 'khorgos', station: 'dock-1' });
const ts = '2026-11-23T08:20:10.500Z';
const head = { v: 1, ts } as const;
const serialNumber = 'BC-10417';
const requestId = '2f1f9a0e-6d1c-4f51-9c57-0c5f5f6a9e11';

type Payloads = { readonly [N in ChannelName]: z.input<(typeof channels)[N]['payload']> };

const args: { readonly [N in CommandName]: z.input<(typeof commands)[N]['args']> } = {
  identify: { bay: 1, forSeconds: 60 },
  pull: { bay: 1 },
  pause: { bay: 1, forSeconds: 600 },
  resume: { bay: 1 },
  diagnostics: {},
  replay: { fromSeq: 40_000, limit: 500 },
  acknowledge: { uptoSeq: 40_211 },
  'install-assignment': { assignment: 'eyJhbGciOiJFZERTQSJ9.eyJwb3N0Ijoia2hvcmdvcyJ9.c2lnbmF0dXJl' },
  'reload-configuration': {},
  enrol: { serialNumber, reason: 'delivered today' },
  retire: { serialNumber, cause: 'broken', note: 'lens cracked' },
};

const payloads: Payloads = {
  status: {
    ...head,
    seq: 42,
    state: 'online',
    reason: 'start',
    session: 42,
    boot: 17,
    instance: '8c1f0a3e5b7d9124',
    version: '0.1.0',
    lastEventSeq: 40211,
  },
  info: {
    ...head,
    seq: 3,
    version: '0.1.0',
    node: '26.10.0',
    system: 'Linux 6.1.0',
    architecture: 'x64',
    boot: 17,
    startedAt: '2026-11-23T06:00:04.120Z',
    configHash: '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae',
    protocolVersion: 5,
    schemas: schemaIds.slice(0, 3),
    capabilities: ['identify', 'pull', 'removal'],
    bays: [{ bay: 1, kind: 'usb', port: '1-1.2' }],
  },
  health: {
    ...head,
    seq: 911,
    level: 'warning',
    problems: 1,
    codes: 'health.vault-filling',
    vaultFreeBytes: 1_099_511_627_776,
    vaultTotalBytes: 4_000_787_030_016,
    vaultSecondsUntilFull: 777_600,
    clockTrusted: 1,
    clockBoundMs: 1.8,
    lineFaults: 3,
    registerInDoubt: 0,
    waitingEvents: 0,
    waitingEventBytes: 0,
    lastEventSeq: 40211,
    droppedSamples: 0,
    camerasDocked: 1,
    camerasEnrolled: 12,
    quota: 20,
    alarms: 1,
  },
  quota: {
    ...head,
    seq: 12,
    headcount: 40,
    headcountSource: 'assignment',
    assignment: {
      number: 7,
      issuer: 'Department of State Revenue of Almaty region',
      validFrom: '2026-11-01T00:00:00.000Z',
      validUntil: '2027-11-01T00:00:00.000Z',
    },
    quota: 20,
    row: 3,
    enrolled: 12,
    refused: 0,
    citation: 'order 1358, annex, row 3',
  },
  bay: {
    ...head,
    seq: 733,
    bay: 1,
    phase: 'pulling',
    since: '2026-11-23T08:15:09.000Z',
    serialNumber,
    recordingsDone: 4,
    recordingsListed: 12,
    bytesDone: 2_936_012_800,
    bytesPlanned: 7_340_032_000,
    bytesPerSecond: 23_068_672,
  },
  camera: {
    ...head,
    seq: 734,
    serialNumber,
    model: 'BWC-4',
    firmware: '2.3.1',
    enrolment: 'enrolled',
    hasKey: true,
    lastDockedAt: '2026-11-23T08:15:02.000Z',
    batteryPercent: 84,
    storageTotalBytes: 137_438_953_472,
    storageFreeBytes: 98_784_247_808,
    clockOffsetMs: 4.1,
    clockUncertaintyMs: 33.8,
    clockDriftPpm: -12.4,
  },
  alarm: {
    ...head,
    seq: 5,
    code: 'health.vault-filling',
    level: 'warning',
    since: '2026-11-23T05:00:00.000Z',
    meaning: 'the disk of the vault will be full soon',
    nextStep: 'hand recordings over to the archive, or fit a larger disk',
    subjects: [{ subject: '', detail: 'full in 9 days at the pace of the last two weeks' }],
  },
  assignment: {
    v: 1,
    ts: '2027-10-28T09:00:00.000Z',
    seq: 12,
    assignment: args['install-assignment'].assignment,
  },
  event: eventExample('session-finished'),
  command: commandExample('pull', { bay: 1 }),
  response: { ...head, seq: 9, id: requestId, command: 'pull', status: 'ok', data: { bays: [1] } },
};

/** By the id of the schema that it follows. */
export function examples(): ReadonlyMap<string, Example> {
  const names: Partial<Record<ChannelName, string>> = {
    bay: '1',
    camera: serialNumber,
    alarm: payloads.alarm.code,
    event: payloads.event.type,
    command: 'pull',
    response: 'pull',
  };
  const found = new Map<string, Example>();
  for (const channel of Object.keys(channels) as ChannelName[]) {
    const topic = `${topics.base}/${channels[channel].address.replace(/\{\w+\}/, names[channel] ?? '')}`;
    found.set(channelSchemaId(channel), { topic, payload: payloads[channel] });
  }
  for (const type of Object.keys(eventTypes) as EventType[]) {
    found.set(eventSchemaId(type), { topic: topics.event(type), payload: eventExample(type) });
  }
  for (const name of Object.keys(commands) as CommandName[]) {
    const payload = commandExample(name, args[name]);
    found.set(commandSchemaId(name), { topic: topics.command(name), payload });
  }
  return found;
}

function eventExample(type: EventType): EventEnvelope {
  return {
    ...head,
    seq: 40_211,
    id: '01933f22-4f84-7c3a-9a51-0b8e6d0f7a21',
    previousSeq: 40_210,
    class: eventTypes[type].class,
    historical: false,
    type,
    data: exampleEvents[type],
  };
}

function commandExample<N extends CommandName>(
  _name: N,
  commandArgs: z.input<(typeof commands)[N]['args']>,
): z.input<(typeof channels)['command']['payload']> {
  return { v: 1, id: requestId, ts, expiresSeconds: 30, by: 'control-room', args: commandArgs };
}
