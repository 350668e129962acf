/** Writes the JSON Schemas, the AsyncAPI document and the page of the MQTT contract anew: `npm run docs:mqtt`. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { publishedFiles, repositoryRoot } from './docs-mqtt/published.ts';

const files = await publishedFiles();
rmSync(new URL('protocol/mqtt/published', repositoryRoot), { recursive: true, force: true });
for (const [path, text] of files) {
  const url = new URL(path, repositoryRoot);
  mkdirSync(new URL('.', url), { recursive: true });
  writeFileSync(url, text);
}
process.stdout.write(`${files.size} files written\n`);
