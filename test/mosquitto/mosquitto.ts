import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrokerCredentials } from '../../agent/report/broker-credentials.ts';
import { systemClock } from '../../dock/host/system-clock.ts';

const shipped = fileURLToPath(new URL('../../scripts/monitoring/mosquitto/', import.meta.url));
const same = (text: string): string => text;

/** Debian's broker on a free port, with the configuration that the control room gets: TLS, access list, persistence. */
export class Mosquitto implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'dock-mosquitto-'));
  readonly port: number;
  readonly #names: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, names: readonly string[], conf: (text: string) => string) {
    this.port = port;
    this.#names = names;
    this.renewCertificates();
    const text = conf(readFileSync(join(shipped, 'mosquitto.conf'), 'utf8'))
      .replaceAll('/etc/mosquitto/certs', this.folder)
      .replace('/etc/mosquitto/acl', join(this.folder, 'acl'))
      .replace('/var/lib/mosquitto/', `${this.folder}/`)
      .replace('listener 8883', `listener ${port} 127.0.0.1\nuser root`);
    writeFileSync(join(this.folder, 'mosquitto.conf'), text);
  }

  /** `acl` and `conf` make other files of those that are shipped; `names` are those who have a certificate. */
  static async start({
    acl = same,
    conf = same,
    names = ['d/p/s', 'control-room'],
  } = {}): Promise<Mosquitto> {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const address = free.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    free.close();
    await once(free, 'close');
    const broker = new Mosquitto(port, names, conf);
    writeFileSync(join(broker.folder, 'acl'), acl(readFileSync(join(shipped, 'acl'), 'utf8')));
    await broker.up();
    return broker;
  }

  get url(): string {
    return `mqtts://127.0.0.1:${this.port}`;
  }

  /** Of the station d/p/s where no other name is given. */
  readonly credentials = (name = 'd-p-s'): Required<Pick<BrokerCredentials, 'ca' | 'cert' | 'key'>> => {
    const [ca, cert, key] = ['ca.crt', `${name}.crt`, `${name}.key`].map((file) =>
      readFileSync(join(this.folder, file)),
    ) as [Buffer, Buffer, Buffer];
    return { ca, cert, key };
  };

  /** New ones of the same authority. */
  renewCertificates(): void {
    execFileSync(join(shipped, 'make-certificates.sh'), [this.folder, '127.0.0.1', ...this.#names]);
  }

  /** The access list as it is shipped, from now on. */
  allow(): void {
    copyFileSync(join(shipped, 'acl'), join(this.folder, 'acl'));
    this.#process?.kill('SIGHUP');
  }

  async up(): Promise<void> {
    const file = join(this.folder, 'mosquitto.conf');
    this.#process = spawn('mosquitto', ['-c', file], { stdio: 'ignore' });
    for (let tries = 0; tries < 100; tries++) {
      const socket = connect(this.port, '127.0.0.1');
      const isThere = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      socket.destroy();
      if (isThere) return;
      await systemClock.sleep(50);
    }
    throw new Error('mosquitto does not listen');
  }

  async kill(): Promise<void> {
    const running = this.#process;
    if (running?.exitCode !== null || running.signalCode !== null) return;
    running.kill('SIGKILL');
    await once(running, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
