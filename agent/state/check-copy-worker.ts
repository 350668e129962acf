import { parentPort, workerData } from 'node:worker_threads';
import { checkCopy } from './backups.ts';

// A second for every 100,000 recordings, in which the bays would wait.
parentPort?.postMessage(checkCopy(String(workerData)));
