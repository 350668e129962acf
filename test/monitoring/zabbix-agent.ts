import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

const shipped = new URL('../../scripts/monitoring/zabbix/zabbix_agent2.conf', import.meta.url);

/** Debian's agent 2 with the configuration that is handed to the control room, talking to a server of the test's. */
export class ZabbixAgent implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-zabbix-'));
  readonly #process: ChildProcess;

  static async start(serverPort: number): Promise<ZabbixAgent> {
    return new ZabbixAgent(serverPort, await freePort());
  }

  private constructor(serverPort: number, ownPort: number) {
    const file = join(this.#folder, 'conf');
    const text = readFileSync(shipped, 'utf8').replace('zabbix.example:10051', `127.0.0.1:${serverPort}`);
    const own = ['LogFile', 'PidFile', 'ControlSocket', 'PluginSocket'].map(
      (name) => `${name}=${join(this.#folder, name)}`,
    );
    writeFileSync(file, [text, ...own, 'ListenIP=127.0.0.1', `ListenPort=${ownPort}`, ''].join('\n'));
    this.#process = spawn('zabbix_agent2', ['-f', '-c', file], { stdio: 'ignore' });
  }

  get log(): string {
    return readFileSync(join(this.#folder, 'LogFile'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGKILL');
      await once(this.#process, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
