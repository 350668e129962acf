import { parentPort, workerData } from 'node:worker_threads';
import { fuzz } from '../../test/fuzz/engine.ts';
import { fuzzTargets } from '../../test/fuzz/targets.ts';

/** What one worker is told to do; `current` shows the input under way to whoever watches: count, length, bytes. */
export interface FuzzTask {
  readonly target: string;
  readonly seed: number;
  readonly mostRuns: number;
  readonly forMs: number;
  readonly current: SharedArrayBuffer;
}

export const mostSharedBytes = 64 * 1024;

if (parentPort) {
  const { current, target: name, ...options } = workerData as FuzzTask;
  const target = fuzzTargets.find((each) => each.name === name);
  if (!target) throw new Error(`there is no target ${name}`);
  const head = new Int32Array(current, 0, 2);
  const shared = new Uint8Array(current, 8);
  const onInput = (input: Uint8Array): void => {
    shared.set(input.subarray(0, mostSharedBytes));
    head[1] = Math.min(input.length, mostSharedBytes);
    Atomics.add(head, 0, 1);
  };
  parentPort.postMessage(await fuzz(target, { ...options, onInput }));
  // Servers of targets would keep it alive.
  process.exit();
}
