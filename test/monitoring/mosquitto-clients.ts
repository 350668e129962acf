import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Mosquitto } from '../mosquitto/mosquitto.ts';

/** Whether Debian's broker and its clients are installed. */
export const hasMosquitto = existsSync('/usr/sbin/mosquitto') && existsSync('/usr/bin/mosquitto_pub');

/** The files of who has a certificate of this broker. */
export function certificateOf(
  { folder }: Mosquitto,
  name: string,
): { ca: string; cert: string; key: string } {
  const own = join(folder, name.replaceAll('/', '-'));
  return { ca: join(folder, 'ca.crt'), cert: `${own}.crt`, key: `${own}.key` };
}

/** Where the broker is and who asks, for mosquitto_pub and mosquitto_sub. */
export function clientOf(broker: Mosquitto, name: string): string[] {
  const { ca, cert, key } = certificateOf(broker, name);
  return ['-h', '127.0.0.1', '-p', String(broker.port), '--cafile', ca, '--cert', cert, '--key', key];
}
