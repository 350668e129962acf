import { readFileSync } from 'node:fs';
import { format } from 'prettier';
import { asyncApiDocument } from './asyncapi.ts';
import { contractPage } from './page.ts';
import { assignmentSchema, messageSchemas } from './schemas.ts';

export const repositoryRoot = new URL('../../', import.meta.url);
const folder = 'protocol/mqtt/published';

/** Everything that is generated from the contract: path in the repository and text, formatted as the rest of it. */
export async function publishedFiles(): Promise<Map<string, string>> {
  const schemas = messageSchemas();
  const options = JSON.parse(readFileSync(new URL('.prettierrc.json', repositoryRoot), 'utf8')) as object;
  const json = (value: object): Promise<string> =>
    format(JSON.stringify(value), { ...options, parser: 'json' });
  const files = new Map<string, string>();
  for (const { file, schema } of schemas) files.set(`${folder}/${file}`, await json(schema));
  files.set(`${folder}/post-assignment.schema.json`, await json(assignmentSchema()));
  files.set(`${folder}/asyncapi.json`, await json(asyncApiDocument(schemas)));
  files.set(
    'protocol/mqtt/contract.md',
    await format(contractPage(schemas), { ...options, parser: 'markdown' }),
  );
  return files;
}
