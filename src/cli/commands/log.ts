/** `signet log`: the transparency log, for its operator and for whoever watches it. */
import type { Command } from 'commander'
import { type Context, collect, pathOption, type Register, urlOption, wholeNumberOption } from '../context.ts'

export const registerLog: Register = (program, context) => {
  const log = program.command('log').description('the transparency log: its key, its checkpoints, its proofs')

  log
    .command('key')
    .description("print the log's public key, for whoever verifies proofs")
    .option('--key-file <file>', 'the private key (SIGNET_TRANSPARENCY_LOG_KEY_FILE)', pathOption)
    .option('--origin <name>', "the log's name (SIGNET_TRANSPARENCY_LOG_ORIGIN)")
    .action(async options => (await import('./log-key.ts')).key(options, context))

  withSource(log.command('checkpoint'))
    .description('print what the log says of itself now: size and root, signed')
    .option('--log-key <key-or-file>', 'refuse one that this key has not signed')
    .action(async options => (await import('./log-proofs.ts')).checkpoint(options, context))

  withSource(
    log.command('proof').argument('<index>', "the entry's number", wholeNumberOption(0, Number.MAX_SAFE_INTEGER)),
  )
    .description('make the offline proof of one entry')
    .option('--log-key <key-or-file>', 'refuse a checkpoint that this key has not signed')
    .option('-o, --output <file>', 'write it here, a .tlog-proof file', pathOption)
    .option('--force', 'replace that file')
    .action(async (index: number, options) => (await import('./log-proofs.ts')).proof(index, options, context))

  withSource(log.command('consistency').argument('<checkpoint>', 'a file with an earlier checkpoint', pathOption))
    .description('check that the log continues what it was at an earlier checkpoint; exit 0 it does, 1 it does not')
    .requiredOption('--log-key <key-or-file>', "the log's public key")
    .option('-o, --output <file>', 'write the checkpoint of now here, for the next time', pathOption)
    .option('--force', 'replace that file')
    .option('--json', 'print JSON')
    .action(async (file: string, options) => (await import('./log-proofs.ts')).consistency(file, options, context))

  log
    .command('verify')
    .argument('[log]', 'the audit log', pathOption)
    .option('--tiles <folder>', "the transparency log's folder (default: <audit log>.tlog)", pathOption)
    .requiredOption('--log-key <key-or-file>', "the log's public key")
    .option('--segments <folder>', 'where packed segments of the audit log are; may be given several times', collect)
    .option('--json', 'print JSON')
    .description('compare every entry, tile and root with the audit log; exit 0 sound, 1 broken, 2 not checked')
    .action(async (file: string | undefined, options) =>
      (await import('./log-verify.ts')).verify(file, options, context),
    )

  registerOutside(log, context)
}

function registerOutside(log: Command, context: Context): void {
  const inFolder = (command: Command) =>
    command.option('--tiles <folder>', "the log's folder (default: that of the configured audit log)", pathOption)

  inFolder(log.command('witnesses'))
    .description(
      'what each witness has cosigned; exit 0 when the checkpoint that is shown meets the policy, 1 when not',
    )
    .option('--policy <file>', 'the policy (SIGNET_WITNESS_POLICY_FILE)', pathOption)
    .option('--log-key <key-or-file>', "the log's public key (default: that of the configured log)")
    .option('--json', 'print JSON')
    .action(async options => (await import('./log-witnesses.ts')).witnesses(options, context))

  inFolder(log.command('alarm'))
    .description('show what has halted the log, if anything has; exit 0 nothing, 1 an alarm')
    .option('--clear', 'move the alarm aside: the log goes on when its gate is started again')
    .option('--json', 'print JSON')
    .action(async options => (await import('./log-witnesses.ts')).alarm(options, context))

  inFolder(log.command('anchors'))
    .description('list the time stamps of checkpoints, unverified')
    .option('--json', 'print JSON')
    .action(async options => (await import('./log-anchors.ts')).anchors(options, context))

  inFolder(log.command('anchor'))
    .description('have the last signed checkpoint stamped now')
    .option('--url <url>', 'the time-stamping authority (SIGNET_ANCHOR_URLS)', urlOption)
    .option('--ca <file>', 'PEM of the roots that issue its certificate (SIGNET_ANCHOR_CA_FILE)', pathOption)
    .option('--oid <policy>', 'stamp under this policy (SIGNET_ANCHOR_POLICY)')
    .action(async options => (await import('./log-anchors.ts')).anchor(options, context))

  inFolder(log.command('verify-anchors'))
    .description(
      'verify every time stamp, its checkpoint, and that the log continues it; exit 0 sound, 1 not, 2 not checked',
    )
    .requiredOption('--log-key <key-or-file>', "the log's public key")
    .option('--ca <file>', 'PEM of the roots (SIGNET_ANCHOR_CA_FILE)', pathOption)
    .option('--oid <policy>', 'all have to be under this policy (SIGNET_ANCHOR_POLICY)')
    .option('--json', 'print JSON')
    .action(async options => (await import('./log-anchors.ts')).verifyAnchors(options, context))
}

export function withSource(command: Command): Command {
  return command
    .option('--log <url>', 'where the log is served: the control plane of its gate, or a copy', urlOption)
    .option('--tiles <folder>', 'its folder (default: that of the configured audit log)', pathOption)
}
