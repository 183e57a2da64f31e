/** `signet keys generate`: a single new key, written once, readable by its owner alone. */
import { Option } from 'commander'
import { type Context, located, pathOption, type Register } from '../context.ts'
import { CommandError, DONE, UNUSABLE } from '../failure.ts'
import { registerKeyFolder } from './keys-folder.ts'

interface Options {
  readonly kind?: 'hmac' | 'ed25519' | 'api'
  readonly out?: string
  readonly publicOut?: string
  readonly force?: true
}

export const registerKeys: Register = (program, context) => {
  const keys = program.command('keys').description('make keys, and keep them over time')
  registerKeyFolder(keys, context)
  keys
    .command('generate')
    .description(
      'make a key for the audit log or sealing (hmac), for receipts or capabilities (ed25519) or for a caller (api)',
    )
    .addOption(new Option('--kind <kind>', 'which key').choices(['hmac', 'ed25519', 'api']).makeOptionMandatory())
    .option(
      '--out <file>',
      'write the private key here, mode 0600 (hmac and api without it: print the key)',
      pathOption,
    )
    .option(
      '--public-out <file>',
      'write the public key here (default: the private key\'s path with ".pub")',
      pathOption,
    )
    .option('--force', 'replace existing files')
    .action((options: Options) => generate(options, context))
  keys
    .command('generate-ed25519')
    .description('the same as: keys generate --kind ed25519')
    .requiredOption('--out <file>', 'write the private key here, mode 0600', pathOption)
    .option(
      '--public-out <file>',
      'write the public key here (default: the private key\'s path with ".pub")',
      pathOption,
    )
    .option('--force', 'replace existing files')
    .action((options: Options) => generate({ ...options, kind: 'ed25519' }, context))
}

async function generate(options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { randomBytes } = await import('node:crypto')
  const { writeNewFile } = await import('../new-file.ts')
  if (options.kind !== 'ed25519' && options.publicOut !== undefined)
    throw new CommandError(`--public-out: an ${options.kind} key has no public half; leave it out`)
  if (options.kind === 'api') {
    const { newApiKey } = await import('../../identity/api-key.ts')
    const { key, hash } = newApiKey(randomBytes)
    if (options.out === undefined) {
      terminal.line(key)
      terminal.note(
        'the first line is the key: hand it over, it is shown this once; the second goes into identity.apiKey.keys',
      )
    } else {
      write(options.out, `${key}\n`, 0o600)
      terminal.note(
        'wrote ',
        options.out,
        ' (mode 0600): hand it over and delete it; the line goes into identity.apiKey.keys',
      )
    }
    terminal.json({ hash, owner: 'agent:NAME' }, 0)
    context.exit(DONE)
    return
  }
  if (options.kind === 'hmac') {
    const hex = randomBytes(32).toString('hex')
    if (options.out === undefined) {
      terminal.line(hex)
      return
    }
    write(options.out, `${hex}\n`, 0o600)
    terminal.line('wrote ', options.out, ' (mode 0600); use it with --hmac-secret-file, or as auditSealingKeyFile')
    context.exit(DONE)
    return
  }
  if (options.out === undefined) throw new CommandError('--out: missing, expected a file for the private key')
  const { SigningKey } = await import('../../keys/signing.ts')
  const key = SigningKey.generate()
  const publicOut = options.publicOut ?? `${options.out}.pub`
  if (located(context, publicOut) === located(context, options.out)) {
    throw new CommandError('--public-out: is the same file as --out; choose another', UNUSABLE)
  }
  write(options.out, key.privatePem(), 0o600)
  write(publicOut, key.publicPem(), 0o644)
  terminal.line('wrote ', options.out, ' (mode 0600) and ', publicOut)
  terminal.line('key id: ', key.kid)
  terminal.line(
    'use it with SIGNET_RECEIPT_KEY_FILE or SIGNET_CAPABILITY_KEY_FILE, a key of its own for each; ',
    'give the public file to whoever checks what it signs',
  )

  function write(path: string, text: string, mode: number): void {
    const outcome = writeNewFile(located(context, path), text, mode, options.force === true)
    if (outcome !== 'written') throw new CommandError(`${path}: exists already; choose another name or pass --force`)
  }
}
