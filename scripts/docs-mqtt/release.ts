/** Stores the schemas of a version that goes out, with their examples: `node scripts/docs-mqtt/release.ts v1.1`. */
import { writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { examples } from '../../protocol/mqtt/examples.ts';
import { repositoryRoot } from './published.ts';
import { messageSchemas } from './schemas.ts';

const [version = ''] = process.argv.slice(2);
if (!/^v1\.\d+$/.test(version)) throw new Error('which version: v1.N');
const messages = messageSchemas().map(({ id, schema }) => ({ schema, example: examples().get(id)?.payload }));
const text = await format(JSON.stringify(messages), { parser: 'json', printWidth: 110 });
// What is out stays as it is.
writeFileSync(new URL(`test/protocol/contract-versions/${version}.json`, repositoryRoot), text, {
  flag: 'wx',
});
