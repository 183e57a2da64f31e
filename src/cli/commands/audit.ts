/** `signet audit`: read and verify the audit log. The log is the positional argument everywhere, or --audit-log, or the configured one. */
import { type Command, Option } from 'commander'
import { collect, pathOption, type Register, wholeNumberOption } from '../context.ts'
import { filterOption } from '../log-option.ts'

export const registerAudit: Register = (program, context) => {
  const audit = program.command('audit').description('read and verify the audit log')

  withKeys(withLog(audit.command('verify')))
    .description('check every row, the chain and the head file; exit 0 sound, 1 broken, 2 not checked')
    .option('--no-head', 'do not ask for the head file; rows cut off at the end then go unnoticed')
    .option('--json', 'print JSON')
    .action(async (log: string | undefined, options) =>
      (await import('./audit-verify.ts')).verify(log, options, context),
    )

  withKeys(withLog(audit.command('accept-missing-head')))
    .description('make a new head file for a log that lost its own, after verifying it whole; writes a row about it')
    .action(async (log: string | undefined, options) =>
      (await import('./audit-accept.ts')).acceptMissingHead(log, options, context),
    )

  for (const show of [audit.command('show'), program.command('replay')]) {
    withKeys(
      show
        .argument('<entry-id>', "the row's id, or the correlation id of an exchange")
        .argument('[log]', 'the audit log', pathOption)
        .option('--audit-log <file>', 'the same', pathOption),
    )
      .description(show.name() === 'show' ? 'print one row, or all rows of one exchange' : 'the same as: audit show')
      .action(async (id: string, log: string | undefined, options) =>
        (await import('./audit-rows.ts')).show(id, log, options, context),
      )
  }

  withLog(audit.command('tail'))
    .description('print the last rows')
    .option('-n, --lines <n>', 'how many', wholeNumberOption(1, 1_000_000), 10)
    .option(
      '--filter <clauses>',
      'only rows with: check=NAME,decision=block,owner_type=human,owner=TYPE:ID,stage=NAME,exchange=ID',
      filterOption,
    )
    .option('--json', 'print the rows as they are, one per line')
    .action(async (log: string | undefined, options) => (await import('./audit-rows.ts')).tail(log, options, context))

  withLog(audit.command('count'))
    .description('count rows')
    .addOption(
      new Option('--by <field>', 'count per value of this').choices([
        'check',
        'owner',
        'decision',
        'owner_type',
        'stage',
      ]),
    )
    .option('--json', 'print JSON')
    .action(async (log: string | undefined, options) => (await import('./audit-rows.ts')).count(log, options, context))

  withKeys(withLog(audit.command('report')))
    .description('sum up a period and compare it with the one before')
    .option('--since <duration>', 'how far back: 30m, 24h, 7d, 2w or an ISO 8601 duration', '24h')
    .addOption(new Option('--format <format>', 'how to print').choices(['markdown', 'json']).default('markdown'))
    .option('--no-anonymize', 'print owners by name')
    .option('--anonymize-salt <salt>', 'what owners are hashed with (SIGNET_ANONYMIZE_SALT)')
    .option('--service-label <name>', 'the name in the head line', 'signet')
    .action(async (log: string | undefined, options) =>
      (await import('./audit-report.ts')).report(log, options, context),
    )
}

function withLog(command: Command): Command {
  return command
    .argument('[log]', 'the audit log (default: SIGNET_AUDIT_LOG_PATH, else audit.jsonl)', pathOption)
    .option('--audit-log <file>', 'the same', pathOption)
}

function withKeys(command: Command): Command {
  return command
    .option('--hmac-secret <hex>', 'the key of the log; prefer a file (SIGNET_HMAC_SECRET)')
    .option('--hmac-secret-file <file>', 'read that key from a file (SIGNET_HMAC_SECRET_FILE)', pathOption)
    .option('--key-id <id>', 'its name (SIGNET_HMAC_KEY_ID, default k1)')
    .option('--legacy-key <id=hex>', 'an earlier key; may be given several times', collect)
}
