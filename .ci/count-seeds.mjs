// Reads the report of the simulation: "PASSED FAILED" on the first line, then how many and what failed, to be replayed.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
console.log(report.passed, report.failed.length);
console.log(
  `${report.seeds} seeds, fresh ones from ${report.freshFrom}: ${report.virtualHours} virtual hours in ${report.seconds} s`,
);
for (const { seed, violations } of report.failed) {
  console.log(`failed: npm run simulate -- --seed ${seed}: ${violations[0]}`);
}
