// Reads vitest's JSON report: "PASSED FAILED" on the first line, then a line for each failed or skipped test. A suite that
// could not even be loaded counts as one failure.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const tests = report.testResults.flatMap((suite) => suite.assertionResults);
const broken = report.testResults.filter(({ status, assertionResults }) => {
  return status === 'failed' && !assertionResults.some((test) => test.status === 'failed');
});
const count = (status) => tests.filter((test) => test.status === status).length;
console.log(count('passed'), count('failed') + broken.length);
for (const test of tests) {
  if (test.status !== 'passed')
    console.log(`${test.status === 'failed' ? 'failed' : 'skipped'}: ${test.fullName}`);
}
for (const suite of broken) console.log(`failed: ${suite.name}: ${suite.message.split('\n')[0]}`);
