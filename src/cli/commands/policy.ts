/** `signet policy`: test what the pipeline says of tool calls, and explain what it said. The pipeline file is code and is run. */
import { collect, pathOption, type Register } from '../context.ts'

export const registerPolicy: Register = (program, context) => {
  const policy = program
    .command('policy')
    .description('test what the pipeline says of tool calls, and explain a decision')
  policy
    .command('test')
    .description('run a table of tool calls through the pipeline file (runs both)')
    .argument('[file]', 'the table, JSON or a module (default: policy.test.json)', pathOption)
    .option('--pipeline <file>', 'the pipeline file', pathOption, 'pipeline.ts')
    .option('--check <name>', 'ask this check only; may be repeated', collect)
    .option('--json', 'print JSON')
    .action(async (file: string | undefined, options) =>
      (await import('./policy-test.ts')).test(file, options, context),
    )
  policy
    .command('explain')
    .description('say which check and rule decided a row, and with which options')
    .argument('<entry-id>', "the row's id, or the correlation id of an exchange")
    .argument('[log]', 'the audit log', pathOption)
    .option('--audit-log <file>', 'the same', pathOption)
    .option('--pipeline <file>', 'the pipeline file', pathOption, 'pipeline.ts')
    .option('--segments <folder>', 'a folder that holds packed segments; may be repeated', collect)
    .option('--no-index', 'do not use the index')
    .option('--json', 'print JSON')
    .action(async (id: string, log: string | undefined, options) =>
      (await import('./policy-explain.ts')).explain(id, log, options, context),
    )
}
