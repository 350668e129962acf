#!/usr/bin/env node
import { CommanderError } from 'commander';
import { asDockError, DockError } from '../../protocol/errors.ts';
import { printableLines } from './output.ts';
import { dockctlProgram } from './program.ts';
import { errorText, nowWord } from './words/error-texts.ts';

const { program, output } = dockctlProgram();

// Whoever reads may have seen enough, such as head.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

program.parseAsync().catch((thrown: unknown) => {
  const isUsage = thrown instanceof CommanderError;
  if (isUsage && thrown.exitCode === 0) return;
  const { code, message, detail, nextStep } = isUsage
    ? new DockError('control.bad-request', thrown.message.replace(/^error: /, ''))
    : asDockError(thrown);
  const isRefused = code.startsWith('assignment.');
  process.exitCode = code === 'control.agent-down' ? 2 : isRefused ? 3 : 1;
  if (output().isJson) output().item({ error: { code, message, nextStep } }, () => '');
  // Commander has explained a wrong usage already.
  if (isUsage) return;
  const { language } = output();
  const text = errorText(code, language);
  const meaning = detail === undefined ? text.meaning : `${text.meaning}: ${detail}`;
  process.stderr.write(
    `dockctl: ${printableLines(meaning)} [${code}]\n${nowWord[language]}: ${text.nextStep}\n`,
  );
});
