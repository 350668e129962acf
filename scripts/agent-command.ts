import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** How `npm run agent` starts the agent, as one process without a shell: for spawn. */
export function agentCommand(config: string): {
  command: string;
  args: string[];
  options: { cwd: string; env: NodeJS.ProcessEnv };
} {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  const { scripts } = JSON.parse(text) as { scripts: { agent: string } };
  const bin = join(root, 'node_modules/.bin');
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  return {
    command: 'env',
    args: [...scripts.agent.split(' '), '--config', config],
    options: { cwd: root, env },
  };
}
