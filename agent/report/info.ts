import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { arch, release, type } from 'node:os';
import type { InfoMessage } from '../../protocol/mqtt/documents.ts';
import { schemaIds } from '../../protocol/mqtt/schema-ids.ts';
import type { Config } from '../config/schema.ts';

/** What the station is made of, but for what each connection tells. */
export function stationInfo(
  config: Config,
  { boot, version, startedAt }: { boot: number; version: string; startedAt: number },
): Omit<InfoMessage, 'v' | 'ts' | 'seq' | 'protocolVersion'> {
  const machine = machineName();
  return {
    version,
    node: process.version,
    system: `${type()} ${release()}`,
    architecture: arch(),
    ...(machine !== undefined && { machine }),
    boot,
    startedAt: new Date(startedAt).toISOString(),
    configHash: createHash('sha256').update(JSON.stringify(config)).digest('hex'),
    schemas: [...schemaIds],
    capabilities: [
      ...config.commands.enabled,
      ...(config.vault.removal === 'when-verified' ? ['removal'] : []),
      ...(config.bay.some(({ usb_port }) => usb_port !== undefined) ? ['power-cycle'] : []),
      `receipt-${config.report.receipt}`,
    ],
    bays: config.bay.map(({ number: bay, usb_port, serial }) => ({
      bay,
      kind: usb_port === undefined ? ('serial' as const) : ('usb' as const),
      port: usb_port ?? serial?.path ?? serial?.usb_port ?? '',
    })),
  };
}

function machineName(): string | undefined {
  try {
    return readFileSync('/sys/class/dmi/id/product_name', 'utf8').trim().slice(0, 200) || undefined;
  } catch {
    return undefined;
  }
}
