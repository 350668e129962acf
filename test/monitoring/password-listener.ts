import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

const readme = readFileSync(new URL('../../scripts/monitoring/README.md', import.meta.url), 'utf8');

/** The listener that the page for the control room adds to Mosquitto's configuration, for who has no certificate. */
export class PasswordListener implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-password-'));
  readonly port: number;
  readonly user = 'monitoring';
  readonly password = 'secret';

  static async prepare(): Promise<PasswordListener> {
    return new PasswordListener(await freePort());
  }

  private constructor(port: number) {
    this.port = port;
    execFileSync('mosquitto_passwd', ['-b', '-c', this.#passwords, this.user, this.password]);
  }

  get #passwords(): string {
    return join(this.#folder, 'passwords');
  }

  readonly conf = (text: string): string => {
    const [, lines = ''] = /```\n(listener 1883[\s\S]*?)```/.exec(readme) ?? [];
    const own = lines.replace('1883', String(this.port)).replace('/etc/mosquitto/passwords', this.#passwords);
    return `${text}\n${own}`;
  };

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}
