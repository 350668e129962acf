// What can be said of the package without installing it: the unit's exposure, that it starts the agent as npm run agent
// does, and that completions and pages know every command.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { completionScript, shells } from '../../agent/cli/completion.ts';
import { dockctlProgram } from '../../agent/cli/program.ts';
import { agentManPage, dockctlManPage } from '../../scripts/package/man-pages.ts';
import { reachable } from '../../scripts/package/reachable.ts';

const root = resolve(import.meta.dirname, '../..');
const unitPath = join(root, 'scripts/installation/dock-agent.service');
const unit = readFileSync(unitPath, 'utf8');
const { program } = dockctlProgram();
const hasTool = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

describe('the unit', () => {
  test.skipIf(!hasTool('systemd-analyze'))('is exposed at 2.0 or better', () => {
    // The threshold counts in tenths; the exit status says whether it is kept.
    const args = ['security', '--offline=yes', '--threshold=20', unitPath];
    const { status, stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    expect([status, /exposure level.*: ([\d.]+)/.exec(stdout)?.[1]]).toEqual([
      0,
      expect.stringMatching(/^[01]\./),
    ]);
  });

  test.skipIf(!hasTool('systemd-analyze'))(
    'says of every point of exposure that is left why it is there',
    () => {
      const args = ['security', '--offline=yes', '--json=short', unitPath];
      const points = JSON.parse(execFileSync('systemd-analyze', args, { encoding: 'utf8' })) as {
        name: string;
        exposure: string | null;
      }[];
      const reasons = unit
        .split('\n')
        .filter((line) => line.startsWith('#'))
        .join('\n');
      const left = points.filter(({ exposure }) => Number(exposure) > 0);
      // `RestrictAddressFamilies=~AF_(INET|INET6)` is about AF_INET, `RootDirectory=/RootImage=` about RootDirectory=.
      const subjects = left.map(
        ({ name }) => /~(.*)/.exec(name)?.[1]?.replace(/\((\w+).*/, '$1') ?? name.split('/')[0],
      );
      expect(subjects).toContain('AF_INET');
      expect(subjects.filter((subject) => !reasons.includes(subject ?? ''))).toEqual([]);
    },
  );

  test('starts the agent with the flags of npm run agent', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: { agent: string };
    };
    const flags = scripts.agent.split(' ').filter((word) => word.startsWith('--'));
    const command = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
    expect(command).toEqual(expect.arrayContaining([...flags, 'agent/main.ts']));
    expect(flags.length).toBeGreaterThan(0);
    const threads = /UV_THREADPOOL_SIZE=\d+/.exec(scripts.agent)?.[0] ?? '';
    expect(unit).toContain(`Environment=${threads}\n`);
  });

  test('never gives up, and leaves the agent the time that its stop may take', () => {
    expect(unit).toMatch(/^Restart=always$/m);
    expect(unit).toMatch(/^StartLimitIntervalSec=0$/m);
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBe(20);
  });
});

describe('what the package holds', () => {
  const { files, packages } = reachable(root, ['agent/main.ts', 'agent/cli/dockctl.ts']);

  test('is what its programs import, also late', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'agent/agent.ts',
        'agent/state/check-copy-worker.ts',
        'dock/bay/usb-bay.ts',
        'dock/host/usb-watch.ts',
      ]),
    );
    expect(packages).toEqual(
      expect.arrayContaining(['node_modules/usb', 'node_modules/node-hid', 'node_modules/serialport']),
    );
  });

  test('is nothing of simulators, tests and tools', () => {
    expect(files.filter((file) => /^(test|scripts|dock\/simulator)\//.test(file))).toEqual([]);
    expect(
      packages.filter((name) => /mediabunny|node-pty|vitest|typescript|oxlint|prettier/.test(name)),
    ).toEqual([]);
  });
});

describe('completions', () => {
  function complete(...words: string[]): string[] {
    const script = `${completionScript(program, 'bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dockctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' })
      .trim()
      .split('\n');
  }

  test('of bash know commands, commands below them, options and values', () => {
    expect(complete('dockctl', 'st')).toEqual(['status']);
    expect(complete('dockctl', '--json', 'bays', 'learn', '--co')).toEqual(['--count', '--config']);
    expect(complete('dockctl', 'bays', 'l')).toEqual(['learn']);
    expect(complete('dockctl', 'retire', 'BC-1', 'br')).toEqual(['broken']);
  });

  test('do not show what help hides', () => {
    for (const shell of shells) expect(completionScript(program, shell)).not.toContain('host-root');
  });

  test.each(shells)('of %s name every command and are read without complaint', (shell) => {
    const script = completionScript(program, shell);
    for (const { commands } of [program, ...program.commands]) {
      for (const command of commands) expect(script).toContain(command.name());
    }
    if (hasTool(shell)) {
      const read = ['-c', 'cat | "$0" -n /dev/stdin', shell];
      const { status, stderr } = spawnSync('sh', read, { input: script, encoding: 'utf8' });
      expect([status, stderr]).toEqual([0, '']);
    }
  });
});

describe('the man pages', () => {
  const facts = { version: '1.2.3', date: '2026-11-23' };

  test('dockctl(1) has every command and every option that help shows', () => {
    const page = dockctlManPage(program, facts).replaceAll('\\-', '-');
    for (const command of program.commands) {
      expect(page).toContain(`.SS ${command.name()}`);
      for (const { flags, hidden } of command.options) expect(page.includes(`.B ${flags}\n`)).toBe(!hidden);
    }
  });

  test('dock-agent(8) says of its files what the unit says', () => {
    const page = agentManPage(facts).replaceAll('\\-', '-');
    for (const path of ['/etc/docking-station/config.toml', '/var/lib/docking-station']) {
      expect(page).toContain(path);
      expect(unit).toContain(path);
    }
  });

  test.skipIf(!hasTool('mandoc'))('are read by mandoc without a warning', () => {
    for (const page of [dockctlManPage(program, facts), agentManPage(facts)]) {
      const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
        input: page,
        encoding: 'utf8',
      });
      expect(stdout).toBe('');
    }
  });
});
