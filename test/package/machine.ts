import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = resolve(import.meta.dirname, '../..');
const lab = join(root, 'scripts/package-lab');

export interface Ran {
  readonly status: number;
  /** Both streams. */
  readonly output: string;
}

/** A Debian 12 on a disk image, in an emulated machine without a network. Killing it is a power cut. */
export class Machine implements AsyncDisposable {
  readonly #folder: string;
  readonly #kernel: { readonly image: string; readonly modules: string };
  #process: ChildProcess | undefined;
  #shell: Socket | undefined;
  #answers = '';

  private constructor(folder: string, kernel: { image: string; modules: string }) {
    this.#folder = folder;
    this.#kernel = kernel;
  }

  /** Makes the disk of what is in `system`, which is added to. */
  static create(folder: string, system: string, kernels: string): Machine {
    const image = readdirSync(kernels).findLast((name) => /^linux-image-[0-9a-z.-]+$/.test(name));
    if (image === undefined) throw new Error(`no kernel in ${kernels}`);
    const modules = join(kernels, image, 'lib/modules');
    const [version = ''] = readdirSync(modules);
    installLab(system);
    makeInitrd(folder, join(kernels, image), version);
    execFileSync('mkfs.ext4', ['-q', '-d', system, join(folder, 'disk.img'), '3G'], { stdio: 'pipe' });
    return new Machine(folder, { image: join(kernels, image, 'boot', `vmlinuz-${version}`), modules });
  }

  /** Returns when commands can be run; services may still be starting. */
  async boot(): Promise<void> {
    const share = (path: string, tag: string): string =>
      `local,path=${path},mount_tag=${tag},security_model=none,readonly=on,multidevs=remap`;
    const serial = join(this.#folder, 'shell.sock');
    rmSync(serial, { force: true });
    this.#process = spawn(
      'qemu-system-x86_64',
      [
        // A processor without AVX, see scripts/usb-lab/boot.sh.
        '-accel tcg,thread=multi -cpu Nehalem -m 1024 -smp 2 -display none -vga none -no-reboot -net none -monitor none',
        `-serial file:${join(this.#folder, 'console.log')} -serial unix:${serial},server=on,wait=off`,
        `-kernel ${this.#kernel.image} -initrd ${join(this.#folder, 'initrd.cpio')}`,
        `-drive file=${join(this.#folder, 'disk.img')},if=virtio,format=raw`,
        `-virtfs ${share(root, 'checkout')} -virtfs ${share(this.#kernel.modules, 'modules')}`,
      ]
        .flatMap((options) => options.split(' '))
        .concat('-append', 'console=ttyS0 quiet panic=-1 print-fatal-signals=1 systemd.show_status=false'),
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    this.#shell = await this.#connect(serial);
    await this.#line(120_000);
  }

  /** Runs a command as root. */
  async run(command: string, { timeoutMs = 120_000 } = {}): Promise<Ran> {
    if (!this.#shell) throw new Error('the machine is off');
    this.#shell.write(`${Buffer.from(command).toString('base64')}\n`);
    const [status = '', printed = ''] = (await this.#line(timeoutMs, command)).split(' ');
    const ran = { status: Number(status), output: Buffer.from(printed, 'base64').toString('utf8') };
    appendFileSync(join(this.#folder, 'commands.log'), `$ ${command}\n${ran.output}[${ran.status}]\n`);
    return ran;
  }

  /** The output of a command that has to work. */
  async tell(command: string, options: { timeoutMs?: number } = {}): Promise<string> {
    const { status, output } = await this.run(command, options);
    if (status !== 0) {
      // Where a process was when it crashed, and the code there: tells whose fault it is.
      const crashes = await this.run("journalctl -k -b -o cat --no-pager | grep -A 20 'fatal signal'");
      throw new Error(`${command}: exit status ${status}\n${output}${crashes.output}`);
    }
    return output.trim();
  }

  /** Looks every second until `look` gives something. */
  async until<T>(what: string, look: () => Promise<T | undefined | false>, withinMs = 240_000): Promise<T> {
    for (const deadline = performance.now() + withinMs; ;) {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      if (performance.now() > deadline) {
        const journal = await this.run('journalctl -b --no-pager -n 40 -o cat; systemctl status dock-agent');
        throw new Error(`${what}: not within ${withinMs} ms\n${journal.output}`);
      }
      await sleep(1000);
    }
  }

  /** The power fails. */
  async cut(): Promise<void> {
    const machine = this.#process;
    this.#shell?.destroy();
    this.#process = this.#shell = undefined;
    if (!machine || machine.exitCode !== null || machine.signalCode !== null) return;
    const ended = once(machine, 'exit');
    machine.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut();
  }

  async #connect(path: string): Promise<Socket> {
    for (let attempt = 0; ; attempt++) {
      const socket = connect(path);
      try {
        await once(socket, 'connect');
        this.#answers = '';
        socket.setEncoding('utf8');
        socket.on('data', (text: string) => (this.#answers += text));
        return socket;
      } catch (error) {
        if (attempt === 100) throw error;
        await sleep(100);
      }
    }
  }

  /** One line of the shell of the machine. */
  async #line(timeoutMs: number, command = 'the start of the machine'): Promise<string> {
    for (const deadline = performance.now() + timeoutMs; ;) {
      const end = this.#answers.indexOf('\n');
      if (end >= 0) {
        const line = this.#answers.slice(0, end);
        this.#answers = this.#answers.slice(end + 1);
        return line;
      }
      if (performance.now() > deadline || this.#process?.exitCode !== null) {
        const said = readFileSync(join(this.#folder, 'console.log'), 'utf8').slice(-2000);
        throw new Error(`${command}: no answer within ${timeoutMs} ms\n${said}`);
      }
      await sleep(20);
    }
  }
}

/** The service through which the test speaks to the machine, and the camera in its bay. */
function installLab(system: string): void {
  for (const name of ['shell', 'camera']) {
    copyFileSync(join(lab, `${name}.sh`), join(system, `usr/local/sbin/lab-${name}`));
    copyFileSync(join(lab, `${name}.service`), join(system, `etc/systemd/system/lab-${name}.service`));
    execFileSync('systemctl', ['--root', system, 'enable', `lab-${name}.service`], { stdio: 'pipe' });
  }
  writeFileSync(join(system, 'etc/fstab'), '/dev/vda / ext4 defaults 0 1\n');
}

/** Busybox and the modules for the disk and the shared folders, in the order in which they need one another. */
function makeInitrd(folder: string, kernel: string, version: string): void {
  const tree = join(folder, 'initrd');
  for (const name of ['bin', 'modules', 'proc', 'sys', 'dev', 'newroot'])
    mkdirSync(join(tree, name), { recursive: true });
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  copyFileSync(join(lab, 'init.sh'), join(tree, 'init'));
  const wanted = ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4', '9pnet_virtio', '9p'];
  const shown = execFileSync('modprobe', ['-d', kernel, '-S', version, '--show-depends', '-a', ...wanted], {
    encoding: 'utf8',
  });
  const files = [...new Set([...shown.matchAll(/^insmod (\S+)/gm)].map(([, file]) => file ?? ''))];
  for (const [index, file] of files.entries()) copyFileSync(file, join(tree, 'modules', `${index}.ko`));
  writeFileSync(join(tree, 'modules/order'), files.map((_, index) => `${index}.ko`).join('\n'));
  execFileSync('sh', ['-c', 'find . | cpio -o -H newc >../initrd.cpio'], { cwd: tree, stdio: 'pipe' });
}
