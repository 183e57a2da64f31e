/** `signet log checkpoint`, `proof` and `consistency`: what anybody can ask a log for. */
import type { Context } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { bytesOf, logKeys, type SourceOptions, sourceOf } from '../log-source.ts'
import { write } from './receipt-upgrade.ts'

interface ProofOptions extends SourceOptions {
  readonly logKey?: string
  readonly output?: string
  readonly force?: true
}

export async function checkpoint(options: ProofOptions, context: Context): Promise<void> {
  await reporting(context, false, async () => {
    const { readCheckpoint } = await import('../../audit/log/prove.ts')
    const { note } = await readCheckpoint(sourceOf(options, context), await keysOf(options, context))
    printed(note, context)
  })
}

export async function proof(index: number, options: ProofOptions, context: Context): Promise<void> {
  await reporting(context, false, async () => {
    const { proveIndex } = await import('../../audit/log/prove.ts')
    const made = await proveIndex(sourceOf(options, context), index, await keysOf(options, context))
    if (options.output === undefined) printed(made.proof, context)
    else {
      write(options.output, made.proof, options.force === true, context)
      context.terminal.line(
        { text: 'OK', colour: 'green' },
        `: entry ${index} is one of ${made.size}; proof in ${options.output}`,
      )
    }
  })
}

export async function consistency(
  file: string,
  options: ProofOptions & { readonly logKey: string; readonly json?: true },
  context: Context,
): Promise<void> {
  const { terminal } = context
  await reporting(context, options.json === true, async () => {
    const { openCheckpoint } = await import('../../audit/log/checkpoint.ts')
    const { verifyConsistency } = await import('../../audit/log/merkle.ts')
    const { readCheckpoint } = await import('../../audit/log/prove.ts')
    const { LogReader } = await import('../../audit/log/reader.ts')
    const keys = await logKeys(options.logKey, context)
    const older = await openCheckpoint(new TextDecoder().decode(await bytesOf(file, context)), keys)
    const source = sourceOf(options, context)
    const newer = await readCheckpoint(source, keys)
    const forwards = older.size <= newer.size
    const proof = forwards ? await new LogReader(source, newer.size).consistency(older.size) : []
    await verifyConsistency({
      older: older.size,
      olderRoot: older.root,
      newer: newer.size,
      newerRoot: newer.root,
      proof,
    })
    if (options.output !== undefined) write(options.output, newer.note, options.force === true, context)
    if (options.json === true) terminal.json({ ok: true, origin: older.origin, older: older.size, newer: newer.size })
    else {
      terminal.line(
        { text: 'OK', colour: 'green' },
        `: ${older.origin} with ${newer.size} entries continues what it was with ${older.size}`,
      )
    }
  })
}

async function keysOf(options: ProofOptions, context: Context) {
  return options.logKey === undefined ? undefined : logKeys(options.logKey, context)
}

function printed(text: string, { terminal }: Context): void {
  for (const line of text.replace(/\n$/, '').split('\n')) terminal.line(line)
}

/** What a log fails to prove is an answer, exit 1; what could not be asked is an error, exit 2. */
async function reporting(context: Context, json: boolean, work: () => Promise<void>): Promise<void> {
  const { LogInvalid } = await import('../../audit/log/errors.ts')
  try {
    await work()
    context.exit(DONE)
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    if (error.code === 'key_invalid') throw new CommandError(error.message)
    if (json) context.terminal.json({ ok: false, code: error.code, detail: error.message })
    else context.terminal.note({ text: 'NOT PROVEN: ', colour: 'red' }, `${error.message} (${error.code})`)
    context.exit(FAILED)
  }
}
