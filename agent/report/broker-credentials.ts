import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { DockError } from '../../protocol/errors.ts';
import type { Config } from '../config/schema.ts';
import type { BrokerOptions } from './broker-connection.ts';

export type BrokerCredentials = Pick<BrokerOptions, 'username' | 'password' | 'ca' | 'cert' | 'key'>;

/** Who the station is to its broker, with the content of the files that the configuration names. Errors: `config.unreadable`. */
export function brokerCredentials({ broker }: Config): BrokerCredentials {
  const { username } = broker;
  const password = contentOf(broker.password_file)?.toString('utf8').trimEnd();
  const ca = contentOf(broker.ca_file);
  const cert = contentOf(broker.cert_file);
  const key = contentOf(broker.key_file);
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
  };
}

/** A key without its certificate, or half of either: files that are being renewed. Errors: those of OpenSSL. */
export function expectUsable({ ca, cert, key }: BrokerCredentials): void {
  createSecureContext({ ca, cert, key });
}

export function contentOf(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new DockError('config.unreadable', cause instanceof Error ? cause.message : path, { cause });
  }
}
