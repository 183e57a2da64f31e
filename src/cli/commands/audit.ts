/** `signet audit`: read and verify the audit log. The log is the positional argument everywhere, or --audit-log, or the configured one. */
import { type Command, Option } from 'commander'
import { collect, pathOption, type Register, wholeNumberOption } from '../context.ts'
import { filterOption } from '../log-option.ts'

export const registerAudit: Register = (program, context) => {
  const audit = program.command('audit').description('read and verify the audit log')

  withKeys(withLog(audit.command('verify')))
    .description('check every row, the chain and the head file; exit 0 sound, 1 broken, 2 not checked')
    .option('--no-head', 'do not ask for the head file; rows cut off at the end then go unnoticed')
    .option('--missing-ok', 'segments that are not here are listed, not broken: the manifest fixes what they held')
    .option(
      '--from-checkpoint <file|index>',
      'begin there: a row index, a state that --save-state wrote, or a checkpoint of the transparency log',
    )
    .option('--log-key <key-or-file>', "the transparency log's public key: check it too, tree and checkpoint")
    .option('--tiles <folder>', "the transparency log's folder (default: <log>.tlog)", pathOption)
    .option('--policy <file>', 'with --log-key: the witnesses who must have cosigned', pathOption)
    .option('--anchor-ca <file>', 'with --log-key: check time stamps too, under these roots (PEM)', pathOption)
    .option('--save-state <file>', 'keep how far the log is sound, for --from-checkpoint', pathOption)
    .option('--json', 'print JSON')
    .action(async (log: string | undefined, options) =>
      (await import('./audit-verify.ts')).verify(log, options, context),
    )

  withSealing(withLog(audit.command('export')))
    .description('write rows to a file: JSON lines as they are stored, or CSV with sealed fields opened')
    .addOption(new Option('--format <format>', 'how').choices(['jsonl', 'csv']).default('jsonl'))
    .requiredOption('--out <file>', 'a new file, mode 0600', pathOption)
    .option('--since <duration>', 'only rows of the last 30m, 24h, 7d, 2w or an ISO 8601 duration')
    .option('--filter <clauses>', 'only rows with these, as for tail', filterOption)
    .action(async (log: string | undefined, options) =>
      (await import('./audit-export.ts')).exportRows(log, options, context),
    )

  withKeys(
    audit
      .command('import')
      .description('take over a log of the Python implementation: verified whole, its rows become the first segments')
      .argument('<files...>', 'its archives and its log, oldest first')
      .requiredOption('--out <log>', 'the new log', pathOption),
  )
    .option('--json', 'print JSON')
    .action(async (files: readonly string[], options) =>
      (await import('./audit-import.ts')).importFiles(files, options, context),
    )

  withLog(audit.command('index'))
    .description('make the index that tail --filter, show, count and report answer from, or bring it up to date')
    .option('--rebuild', 'make it anew')
    .action(async (log: string | undefined, options) => (await import('./audit-index.ts')).index(log, options, context))

  withKeys(withLog(audit.command('segments')))
    .description('list the files of a log; with --older-than, those that may be moved')
    .option('--older-than <duration>', 'mark segments whose last row is older: 90d, 12w, P90D')
    .option('--move-to <folder>', 'move them there, each copied, compared and only then removed', pathOption)
    .option('--json', 'print JSON')
    .action(async (log: string | undefined, options) =>
      (await import('./audit-segments.ts')).segments(log, options, context),
    )

  withSealing(withKeys(withLog(audit.command('erase'))))
    .description("destroy the key that an owner's personal fields are sealed under; the rows stay, and still verify")
    .requiredOption('--owner <type:id>', 'whose: human:NAME, agent:NAME, policy:NAME')
    .option('--json', 'print JSON')
    .action(async (log: string | undefined, options) => (await import('./audit-erase.ts')).erase(log, options, context))

  withKeys(withLog(audit.command('accept-missing-head')))
    .description('make a new head file for a log that lost its own, after verifying it whole; writes a row about it')
    .action(async (log: string | undefined, options) =>
      (await import('./audit-accept.ts')).acceptMissingHead(log, options, context),
    )

  withKeys(withLog(audit.command('rebuild-manifest')))
    .description(
      'make the manifest of a log again that lost it, from its segments, after verifying all of them; writes a row about it',
    )
    .action(async (log: string | undefined, options) =>
      (await import('./audit-rebuild.ts')).rebuildManifest(log, options, context),
    )

  for (const show of [audit.command('show'), program.command('replay')]) {
    withIndex(
      withSealing(
        withKeys(
          withFolders(
            show
              .argument('<entry-id>', "the row's id, or the correlation id of an exchange")
              .argument('[log]', 'the audit log', pathOption)
              .option('--audit-log <file>', 'the same', pathOption),
          ),
        ),
      ),
    )
      .description(show.name() === 'show' ? 'print one row, or all rows of one exchange' : 'the same as: audit show')
      .action(async (id: string, log: string | undefined, options) =>
        (await import('./audit-rows.ts')).show(id, log, options, context),
      )
  }

  withIndex(withSealing(withLog(audit.command('tail'))))
    .description('print the last rows')
    .option('-n, --lines <n>', 'how many', wholeNumberOption(1, 1_000_000), 10)
    .option(
      '--filter <clauses>',
      'only rows with: check=NAME,decision=block,owner_type=human,owner=TYPE:ID,stage=NAME,exchange=ID',
      filterOption,
    )
    .option('--json', 'print the rows as they are, one per line')
    .action(async (log: string | undefined, options) => (await import('./audit-rows.ts')).tail(log, options, context))

  withIndex(withSealing(withLog(audit.command('count'))))
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

  withIndex(withSealing(withKeys(withLog(audit.command('report')))))
    .description('sum up a period and compare it with the one before')
    .option('--since <duration>', 'how far back: 30m, 24h, 7d, 2w or an ISO 8601 duration', '24h')
    .addOption(new Option('--format <format>', 'how to print').choices(['markdown', 'json']).default('markdown'))
    .option('--no-verify', 'do not verify the chain, which takes seconds per million rows')
    .option('--no-anonymize', 'print owners by name')
    .option('--anonymize-salt <salt>', 'what owners are hashed with (SIGNET_ANONYMIZE_SALT)')
    .option('--service-label <name>', 'the name in the head line', 'signet')
    .action(async (log: string | undefined, options) =>
      (await import('./audit-report.ts')).report(log, options, context),
    )
}

function withLog(command: Command): Command {
  return withFolders(
    command
      .argument('[log]', 'the audit log (default: SIGNET_AUDIT_LOG_PATH, else audit.jsonl)', pathOption)
      .option('--audit-log <file>', 'the same', pathOption),
  )
}

function withFolders(command: Command): Command {
  return command.option(
    '--segments <folder>',
    'where packed segments are; may be given several times (SIGNET_AUDIT_SEGMENT_FOLDER)',
    collect,
  )
}

function withIndex(command: Command): Command {
  return command.option('--no-index', 'read the rows themselves, also when there is an index')
}

function withSealing(command: Command): Command {
  return command
    .option(
      '--sealing-folder <folder>',
      "the owners' keys (SIGNET_AUDIT_SEALING_FOLDER, default <log>.owners)",
      pathOption,
    )
    .option('--sealing-key-file <file>', 'the key that wraps them (SIGNET_AUDIT_SEALING_KEY_FILE)', pathOption)
}

function withKeys(command: Command): Command {
  return command
    .option('--hmac-secret <hex>', 'the key of the log; prefer a file (SIGNET_HMAC_SECRET)')
    .option('--hmac-secret-file <file>', 'read that key from a file (SIGNET_HMAC_SECRET_FILE)', pathOption)
    .option('--key-id <id>', 'its name (SIGNET_HMAC_KEY_ID, default k1)')
    .option('--legacy-key <id=hex>', 'an earlier key; may be given several times', collect)
}
