import { uuidV7 } from '../../dock/clock.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { Draws } from '../simulation/draws.ts';
import { ChaosProxy } from './chaos-proxy.ts';
import { checkHistory, type Operation } from './check-history.ts';
import type { RegisterCluster } from './register-cluster.ts';

const headcounts = { 5: 1, 10: 51, 20: 101, 50: 401 } as const;

export interface HistoryResult {
  readonly seed: number;
  readonly operations: number;
  readonly unknown: number;
  readonly wrong: readonly string[];
}

/**
 * One short history of one post: stations, each a process, that enrol, retire and replace at once over lines that are cut,
 * some of them killed in the middle of a request. The seed draws who asks for what, when the lines are cut and who dies; how the
 * requests interleave is up to the machine.
 */
export async function runHistory(
  seed: number,
  slot: number,
  cluster: RegisterCluster,
): Promise<HistoryResult> {
  const draws = new Draws(`register/${seed}`);
  const quota = Number(draws.weighted({ '5': 16, '10': 3, '20': 1, '50': 0.3 })) as keyof typeof headcounts;
  const post = `h${seed}`;
  const roles = await cluster.preparePost(post, headcounts[quota], slot);
  const operations: Operation[] = [];
  await using stack = new AsyncDisposableStack();
  const proxies = [];
  for (const port of cluster.ports) {
    proxies.push(stack.use(await ChaosProxy.to(port, draws.stream(`line ${port === cluster.ports[0]}`))));
  }
  const hosts = proxies.map(({ port }) => ({ host: '127.0.0.1', port }));

  const station = async (user: string, index: number): Promise<void> => {
    const own = draws.stream(user.replace(/^.*_/, ''));
    const process = cluster.stationProcess(slot, index);
    const login = { hosts, database: cluster.database, user };
    for (let count = own.below(4) + Math.ceil(quota * 0.8); count > 0; count--) {
      const kind = own.weighted({ enrol: 65, retire: 22, replace: 13 });
      const [serialNumber, replaces] = [own, own].map((one) => `${post}-${one.below(quota + 3)}`) as [
        string,
        string,
      ];
      const common = {
        id: uuidV7(systemClock, own),
        kind,
        serialNumber,
        ...(kind === 'replace' && { replaces }),
      };
      const startedAt = systemClock.monotonic();
      const request = { ...common, by: user, reason: 'test', cause: 'broken', note: '', seen: 2 ** 40 };
      const asked = process.ask({ login, request });
      let outcome: Operation['outcome'];
      if (own.chance(0.06)) {
        // It dies some moment later; what comes after it knows nothing of the request. To start a process takes as long
        // as half a history, so most only break off their connection: the server sees the same.
        asked.catch(() => undefined);
        await systemClock.sleep(own.between(0, 10));
        if (own.chance(0.2)) await process.kill();
        else process.abandon();
        outcome = 'unknown';
      } else outcome = await asked;
      operations.push({ ...common, startedAt, endedAt: systemClock.monotonic(), outcome });
    }
  };
  await Promise.all(roles.map(station));
  const end = await cluster.endOf(post);
  return {
    seed,
    operations: operations.length,
    unknown: operations.filter(({ outcome }) => outcome === 'unknown').length,
    wrong: checkHistory({ quota, operations, ...end }),
  };
}
