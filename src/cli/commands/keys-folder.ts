/** `signet keys list|rotate|retire|import`: the keys of a key folder, over time. No secret is ever printed. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { KeyPurpose } from '../../keys/key-file.ts'
import type { KeyFolder } from '../../keys/store.ts'
import { type Context, located, pathOption } from '../context.ts'
import { CommandError, DONE } from '../failure.ts'

const PURPOSES = ['chain', 'receipts', 'capabilities', 'notes', 'sealing', 'webhooks']
/** A transparency log has one key for life, and owners' keys are sealed with the sealing key: neither is changed here. */
const ROTATED = ['chain', 'receipts', 'capabilities', 'webhooks']

interface Options {
  readonly keyFolder?: string
  readonly purpose?: KeyPurpose
  readonly activateAt?: number
  readonly at?: number
  readonly kid?: string
  readonly file?: string
  readonly withdraw?: true
  readonly json?: true
}

export function registerKeyFolder(keys: Command, context: Context): void {
  const purpose = (choices = PURPOSES): Option =>
    new Option('--purpose <purpose>', 'what the key is for').choices(choices)
  const folder = ['--key-folder <folder>', 'where the keys are (SIGNET_KEY_FOLDER, default .signet)'] as const
  const when = timeOption(context)
  keys
    .command('list')
    .description('the keys of the key folder, and when each signs')
    .addOption(purpose())
    .option(...folder, pathOption)
    .option('--json', 'print JSON')
    .action((options: Options) => list(options, context))
  keys
    .command('rotate')
    .description('make the next key; a running gate takes it up by itself, and it is published before it signs')
    .addOption(purpose(ROTATED).makeOptionMandatory())
    .option(
      '--activate-at <time>',
      'when it begins to sign: "now", or a time such as 2026-05-01T12:00:00Z (default: in 15 minutes; in one for keys that nobody has to fetch)',
      when,
    )
    .option(...folder, pathOption)
    .action((options: Options) => rotate(options, context))
  keys
    .command('retire')
    .description('end a key before its successor would')
    .addOption(purpose(ROTATED).makeOptionMandatory())
    .requiredOption('--kid <id>', 'the id of the key')
    .option('--at <time>', 'when it ends: "now" (default), or a time', when)
    .option('--withdraw', 'it has leaked: publish it no longer, so that nothing it signed is believed')
    .option(...folder, pathOption)
    .action((options: Options) => retire(options, context))
  keys
    .command('import')
    .description('take a key file made earlier as the first key of a purpose')
    .addOption(purpose().makeOptionMandatory())
    .requiredOption('--file <file>', 'an Ed25519 private key (PEM), or a MAC key (hex)', pathOption)
    .option('--kid <id>', 'the id that a MAC key has had so far (SIGNET_HMAC_KEY_ID)')
    .option(...folder, pathOption)
    .action((options: Options) => adopt(options, context))
}

async function list(options: Options, context: Context): Promise<void> {
  const { PURPOSES: all } = await import('../../keys/store.ts')
  const { Schedule } = await import('../../keys/schedule.ts')
  const keyFolder = await open(options, context)
  const now = context.now()
  const found = (options.purpose === undefined ? all : [options.purpose]).flatMap(purpose => {
    const keys = keyFolder.keys(purpose)
    const schedule = new Schedule(keys)
    const active = schedule.at(now)
    return keys.map(key => {
      const until = schedule.acceptedUntil(key)
      const ended = key.notAfter !== undefined && key.notAfter <= now
      const status = key.withdrawn
        ? 'withdrawn'
        : key === active
          ? 'active'
          : ended
            ? 'ended'
            : (key.notBefore ?? -Infinity) > now
              ? 'waiting'
              : 'retired'
      return {
        purpose,
        id: key.id,
        status,
        created: iso(key.created),
        notBefore: key.notBefore === undefined ? null : iso(key.notBefore),
        notAfter: until === Infinity ? null : iso(until),
      }
    })
  })
  const { terminal } = context
  if (options.json === true) terminal.json({ folder: keyFolder.path, keys: found })
  else if (found.length === 0) terminal.line('no keys in ', keyFolder.path)
  else
    terminal.table([
      ['purpose', 'id', 'status', 'from', 'until'],
      ...found.map(k => [k.purpose, k.id, k.status, k.notBefore ?? 'always', k.notAfter ?? 'open']),
    ])
  context.exit(DONE)
}

async function rotate(options: Options, context: Context): Promise<void> {
  const { FORMS, NOTICED_FIRST_MS, PUBLISHED_FIRST_MS } = await import('../../keys/store.ts')
  const keyFolder = await open(options, context, 'make')
  const purpose = purposeOf(options)
  const now = context.now()
  const enough = FORMS[purpose] === 'signing' ? PUBLISHED_FIRST_MS : NOTICED_FIRST_MS
  const from = options.activateAt ?? now + enough
  const made = keyFolder.rotate(purpose, Math.max(from, now))
  const { terminal } = context
  terminal.line(`the next ${purpose} key is ${made.id}; it signs from ${iso(made.notBefore ?? now)} on`)
  if (FORMS[purpose] === 'signing' && from < now + enough)
    terminal.note(
      { text: 'warning: ', colour: 'yellow' },
      'that is sooner than verifiers look for new keys: for some minutes some of them will not know it',
    )
  const { signsInstead } = await import('../chain-keys.ts')
  const instead = signsInstead(purpose, context)
  if (instead !== undefined)
    terminal.note(
      { text: 'warning: ', colour: 'yellow' },
      `${instead} is set, so a gate signs with that and not with the key folder; import that key there (signet keys import) and unset it`,
    )
  context.exit(DONE)
}

async function retire(options: Options, context: Context): Promise<void> {
  const keyFolder = await open(options, context)
  const purpose = purposeOf(options)
  const retired = keyFolder.retire(purpose, options.kid ?? '', options.at ?? context.now(), options.withdraw === true)
  const { Schedule } = await import('../../keys/schedule.ts')
  const { terminal } = context
  terminal.line(
    `the ${purpose} key ${retired.id} ends at ${iso(retired.notAfter ?? 0)}${retired.withdrawn ? ' and is withdrawn' : ''}`,
  )
  if (new Schedule(keyFolder.keys(purpose)).at(Math.max(retired.notAfter ?? 0, context.now())) === undefined)
    terminal.note(
      { text: 'warning: ', colour: 'yellow' },
      `then no ${purpose} key is left, and the gate refuses everything; make the next: signet keys rotate --purpose ${purpose} --activate-at now`,
    )
  context.exit(DONE)
}

async function adopt(options: Options, context: Context): Promise<void> {
  const { FORMS, readSecretFile } = await import('../../keys/store.ts')
  const keyFolder = await open(options, context, 'make')
  const purpose = purposeOf(options)
  const text = readSecretFile(located(context, options.file ?? ''))
  if (FORMS[purpose] === 'mac' && options.kid === undefined)
    throw new CommandError('--kid: missing; rows name the key by it, so give the id it has had (k1 unless it was set)')
  const id = keyFolder.adopt(purpose, text, options.kid)
  context.terminal.line(`the first ${purpose} key in `, keyFolder.path, ` is ${id}`)
  context.exit(DONE)
}

/** As the gate finds it: flag, environment, `.env`, `.signet`. */
async function open(options: Options, context: Context, missing: 'make' | 'refuse' = 'refuse'): Promise<KeyFolder> {
  const { keyFolderPath } = await import('../chain-keys.ts')
  const { KeyFolder } = await import('../../keys/store.ts')
  const { existsSync } = await import('node:fs')
  const path = keyFolderPath(options.keyFolder, context)
  if (missing === 'refuse' && !existsSync(path))
    throw new CommandError(`${path}: no such folder; name the key folder with --key-folder or SIGNET_KEY_FOLDER`)
  return new KeyFolder(path, { now: context.now })
}

function purposeOf({ purpose }: Options): KeyPurpose {
  if (purpose === undefined) throw new CommandError('--purpose: missing')
  return purpose
}

function timeOption(context: Context): (text: string) => number {
  return text => {
    if (text === 'now') return context.now()
    // RFC 3339 in UTC, as `key-file.ts` reads it; not imported here, because a mistake must be told before anything is loaded.
    const ms = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z$/.test(text) ? Date.parse(text) : Number.NaN
    if (Number.isNaN(ms)) throw new InvalidArgumentError('expected "now" or a time in UTC such as 2026-05-01T12:00:00Z')
    return ms
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
