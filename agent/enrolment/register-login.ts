import { DockError } from '../../protocol/errors.ts';
import { registerUrl } from '../config/schema.ts';
import { contentOf } from '../report/broker-credentials.ts';

/** How to reach a shared register, and as whom. */
export interface RegisterLogin {
  /** In order of preference; the one that takes writes is used. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  /** Undefined only for a server on the same machine. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
}

export interface RegisterLoginFiles {
  readonly password_file?: string | undefined;
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}

/** Of a URL as the configuration has it. Errors: `control.bad-request`, `config.unreadable`. */
export function registerLogin(url: string, files: RegisterLoginFiles): RegisterLogin {
  const [, user, hostList, database] = registerUrl.exec(url) ?? [];
  if (user === undefined || hostList === undefined || database === undefined) {
    throw new DockError('control.bad-request', `postgres://ROLE@HOST/DATABASE is needed, not ${url}`);
  }
  const hosts = hostList.split(',').map((text) => {
    const [, host = text, port = '5432'] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
    return { host, port: Number(port) };
  });
  const password = contentOf(files.password_file)?.toString('utf8').trimEnd();
  const [ca, cert, key] = [files.ca_file, files.cert_file, files.key_file].map(contentOf);
  const isLocal = hosts.every(({ host }) => /^(127\.[\d.]+|localhost)$/.test(host));
  return {
    user,
    database,
    hosts,
    ...(password !== undefined && { password }),
    ...((ca || !isLocal) && { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
  };
}
