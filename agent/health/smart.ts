import { execFile } from 'node:child_process';
import { z } from 'zod';

export interface SmartReading {
  /** Disks that say of themselves that they are failing. */
  readonly smartFailingDisks?: number;
  /** Sectors or blocks that were given up or wait for it, and media errors, of all disks. */
  readonly smartBadSectors?: number;
  /** Of the SSD that is worn most; above 100 it is beyond what its maker stands for. */
  readonly smartWearPercent?: number;
}

/** The JSON that smartctl prints for one disk; undefined where it is not installed or not allowed. */
export type AskSmart = (device: string) => Promise<string | undefined>;

const smartctlMs = 10_000;

export const askSmartctl: AskSmart = (device) =>
  new Promise((resolve) => {
    // Its exit code is a set of bits that says what the JSON says as well. A sleeping disk is left asleep.
    const options = ['--json', '--health', '--attributes', '--nocheck=standby', `/dev/${device}`];
    execFile('smartctl', options, { timeout: smartctlMs }, (_error, stdout) => resolve(stdout || undefined));
  });

const answer = z.object({
  smart_status: z.object({ passed: z.boolean() }),
  ata_smart_attributes: z
    .object({ table: z.array(z.object({ id: z.int(), raw: z.object({ value: z.number() }) })) })
    .optional(),
  nvme_smart_health_information_log: z
    .object({ media_errors: z.number().optional(), percentage_used: z.number().optional() })
    .optional(),
});

/** Reallocated, pending and uncorrectable sectors. */
const badSectorAttributes = [5, 197, 198];

/** A disk that gives no answer is left out; nothing when none gives one. */
export async function readSmart(devices: readonly string[], ask: AskSmart): Promise<SmartReading> {
  const answers: z.output<typeof answer>[] = [];
  for (const device of devices) {
    const parsed = answer.safeParse(jsonOf((await ask(device)) ?? ''));
    if (parsed.success) answers.push(parsed.data);
  }
  if (answers.length === 0) return {};
  const wear = answers.flatMap(({ nvme_smart_health_information_log: nvme }) => nvme?.percentage_used ?? []);
  return {
    smartFailingDisks: answers.filter(({ smart_status }) => !smart_status.passed).length,
    smartBadSectors: answers.reduce((sum, each) => sum + badSectors(each), 0),
    ...(wear.length > 0 && { smartWearPercent: Math.max(...wear) }),
  };
}

function badSectors({
  ata_smart_attributes: ata,
  nvme_smart_health_information_log: nvme,
}: z.output<typeof answer>): number {
  const counts = ata?.table.filter(({ id }) => badSectorAttributes.includes(id)) ?? [];
  return counts.reduce((sum, { raw }) => sum + raw.value, nvme?.media_errors ?? 0);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
