import type { AgentHost } from '../../agent/agent-host.ts';
import { addCameras } from './cast.ts';
import { Draws } from './draws.ts';
import { Dead } from './life.ts';
import { livenessPhase } from './liveness.ts';
import { safetyPhase } from './safety.ts';
import { World } from './world.ts';

/** What came of one simulation. */
export interface Verdict {
  readonly seed: number;
  readonly isPassed: boolean;
  readonly violations: readonly string[];
  readonly story: readonly string[];
  readonly storyDigest: string;
  /** How often each fault and each state of interest was reached. */
  readonly counts: Readonly<Record<string, number>>;
  readonly virtualMs: number;
}

/**
 * The whole agent, from one seed: first a time with faults in which no promise may break, then one without in which
 * everything must come to its end. `sabotage` changes what the agent gets of the world, to see that it is noticed.
 */
export async function simulate(seed: number, sabotage = unchanged): Promise<Verdict> {
  const draws = new Draws(`seed ${seed}`);
  const setup = draws.stream('setup');
  using world = new World(draws, {
    sabotage,
    settings: {
      removal: setup.chance(0.75) ? 'when-verified' : 'never',
      enrolment: setup.chance(0.85) ? 'automatic' : 'manual',
      headcount:
        setup.weighted({ '20': 8, '51': 1, '0': 1 }) === '0'
          ? setup.pick([undefined, 0])
          : setup.pick([20, 50, 51]),
      bays: 1 + setup.below(4),
    },
    pace: { presenceMs: setup.pick([10_000, 30_000, 60_000]), retryMs: setup.pick([15_000, 30_000, 60_000]) },
  });
  const { story } = world;
  const onRejection = (reason: unknown): void => {
    if (!(reason instanceof Dead)) story.violate('agent', `an unhandled rejection: ${describe(reason)}`);
  };
  process.on('unhandledRejection', onRejection);
  try {
    addCameras(world);
    await safetyPhase(world);
    world.oracles.everything();
    if (story.violations.length === 0) await livenessPhase(world);
  } catch (error) {
    story.violate('agent', `hangs or breaks the simulation: ${describe(error)}`);
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  const isPassed = story.violations.length === 0;
  story.tell(
    isPassed ? 'verdict: all promises kept' : `verdict: FAILED, ${story.violations.length} violations`,
  );
  return {
    seed,
    isPassed,
    violations: story.violations,
    story: story.lines,
    storyDigest: story.digest(),
    counts: Object.fromEntries(story.counts),
    virtualMs: world.scheduler.nowMs,
  };
}

/** Without the stack: the story of a seed is the same on every machine. */
function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function unchanged(host: AgentHost): AgentHost {
  return host;
}
