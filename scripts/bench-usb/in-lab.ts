/** The bench as it runs in the virtual machine, as root; its reports go to the folder shared with the host. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { labExchange, portPathOfUdc } from '../../test/usb/lab.ts';
import { installInLab } from '../../test/usb/lab-installation.ts';
import type { BenchReport } from '../bench/report.ts';
import { benchParallel } from './parallel.ts';
import { benchPlug } from './plug.ts';
import { benchSingle } from './single.ts';
import { reportsFile, type LabReports, type PartName, type UsbBenchTask } from './task.ts';
import { benchTools } from './tools.ts';

const udcCount = 12;

const parts: Readonly<
  Record<
    PartName,
    (task: UsbBenchTask, say: (text: string) => void, helperSocket: string) => Promise<BenchReport>
  >
> = { single: benchSingle, tools: benchTools, parallel: benchParallel, plug: benchPlug };

async function main(): Promise<void> {
  const task = JSON.parse(process.argv[2] ?? '{}') as UsbBenchTask;
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const ports = await Promise.all(Array.from({ length: udcCount }, (_, udc) => portPathOfUdc(udc)));
  await using installation = await installInLab(ports);
  const reports: Partial<Record<PartName, BenchReport>> = {};
  const failures: Partial<Record<PartName, string>> = {};
  for (const name of task.parts) {
    try {
      reports[name] = await parts[name](task, say, installation.helperSocket);
    } catch (error) {
      failures[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
      say(`${name} failed: ${failures[name]}`);
    }
    const soFar: LabReports = { reports, failures };
    await writeFile(join(labExchange, reportsFile), JSON.stringify(soFar));
  }
}

if (import.meta.main) {
  main().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stdout.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    },
  );
}
