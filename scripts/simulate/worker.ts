import { simulate, type Verdict } from '../../test/simulation/simulation.ts';

/** What the pool hears of one seed. */
export type SeedReport = Pick<Verdict, 'seed' | 'isPassed' | 'violations' | 'counts' | 'virtualMs'>;

process.once('disconnect', () => process.exit());
process.on('message', (seed: number) => {
  void simulate(seed).then(({ isPassed, violations, counts, virtualMs }) => {
    const report: SeedReport = { seed, isPassed, violations, counts, virtualMs };
    process.send?.(report);
  });
});
process.send?.('ready');
