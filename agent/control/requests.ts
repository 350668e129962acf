import { z } from 'zod';
import { topicLevel } from '../../protocol/mqtt/topics.ts';
import { normItem } from '../../protocol/norm/editions.ts';
import { retireCauses } from '../../protocol/norm/retire-causes.ts';

/**
 * What dockctl may ask. A request is one HTTP POST to `/v1/NAME` on the Unix socket with a JSON body; the answer is
 * JSON lines: any number of `item` or `progress` lines, then one `result` or `error`.
 */
const serialNumber = z.string().min(1).max(128);
const by = z.string().min(1).max(128);
const note = z.string().max(500).default('');
const reason = z.string().max(500).default('enrolled by hand');
const commissionedOn = z.iso.date().optional();
const item = normItem.optional();
const bay = z.int().min(1).max(999).optional();

export const controlRequests = {
  status: z.strictObject({}),
  health: z.strictObject({}),
  flights: z.strictObject({}),
  flight: z.strictObject({ id: z.string().regex(/^[0-9a-f-]{8,36}$/) }),
  bays: z.strictObject({}),
  faults: z.strictObject({}),
  cameras: z.strictObject({}),
  recordings: z.strictObject({
    serialNumber: serialNumber.optional(),
    limit: z.int().min(1).max(10_000).default(50),
    before: z.string().max(64).optional(),
  }),
  enrol: z.strictObject({ item, serialNumber, by, reason, commissionedOn }),
  retire: z.strictObject({
    item,
    serialNumber,
    by,
    cause: z.enum(retireCauses),
    note,
  }),
  replace: z.strictObject({
    item,
    replaces: serialNumber,
    serialNumber,
    by,
    reason,
    cause: z.enum(retireCauses),
    note,
    commissionedOn,
  }),
  transfer: z.strictObject({
    serialNumber,
    to: z.strictObject({ department: z.string().regex(topicLevel), post: z.string().regex(topicLevel) }),
    by,
    note,
  }),
  fleet: z.strictObject({}),
  audit: z.strictObject({ after: z.int().min(0), limit: z.int().min(1).max(1000) }),
  pull: z.strictObject({ bay, serialNumber: serialNumber.optional() }),
  pause: z.strictObject({ bay, by, forSeconds: z.int().min(1).max(86_400).default(3600) }),
  resume: z.strictObject({ bay }),
  identify: z.strictObject({ bay, forSeconds: z.int().min(1).max(600).default(30) }),
  'reload-configuration': z.strictObject({}),
  quota: z.strictObject({}),
  assignment: z.strictObject({}),
  'install-assignment': z.strictObject({ assignment: z.string().max(60_000), by }),
  'confirm-register': z.strictObject({ by }),
  verify: z.strictObject({ serialNumber: serialNumber.optional() }),
  events: z.strictObject({
    after: z.int().min(0).optional(),
    limit: z.int().min(1).max(10_000).default(20),
    follow: z.boolean().default(false),
  }),
  sessions: z.strictObject({ limit: z.int().min(1).max(1000).default(20) }),
} as const;

export type ControlRequestName = keyof typeof controlRequests;
export type ControlRequest<N extends ControlRequestName> = z.output<(typeof controlRequests)[N]>;

export function isControlRequestName(name: string): name is ControlRequestName {
  return Object.hasOwn(controlRequests, name);
}

export const controlLine = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('item'), item: z.unknown() }),
  z.object({ kind: z.literal('progress'), done: z.number(), total: z.number(), what: z.string() }),
  z.object({ kind: z.literal('result'), result: z.unknown() }),
  z.object({
    kind: z.literal('error'),
    code: z.string(),
    message: z.string(),
    detail: z.string().optional(),
    nextStep: z.string(),
  }),
]);
export type ControlLine = z.output<typeof controlLine>;
