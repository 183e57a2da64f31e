/** `signet receipt upgrade`: from a receipt, which is a promise, to an offline proof that its row is in the log. */
import { type Context, located, pathOption } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { bytesOf, logKeys, type SourceOptions, sourceOf } from '../log-source.ts'
import { writeNewFile } from '../new-file.ts'

export interface UpgradeOptions extends SourceOptions {
  readonly file?: string
  readonly logKey?: string
  readonly output?: string
  readonly force?: true
}

/** A receipt is at most 16 KiB; whoever gives a disk by mistake gets an answer. */
const LARGEST_RECEIPT = 64 * 1024

export async function upgrade(given: string | undefined, options: UpgradeOptions, context: Context): Promise<void> {
  const { terminal } = context
  const { leafBytes } = await import('../../receipt/claims.ts')
  const { unverifiedClaims } = await import('../../receipt/unverified.ts')
  const { LogInvalid } = await import('../../audit/log/errors.ts')
  const { proveEntry } = await import('../../audit/log/prove.ts')
  const receipt = await receiptText(given, options.file, context)
  const { leaf } = claimsOf(() => unverifiedClaims(receipt))
  const keys = options.logKey === undefined ? undefined : await logKeys(options.logKey, context)
  try {
    const { index, size, proof } = await proveEntry({
      source: sourceOf(options, context),
      entry: leafBytes(leaf),
      // The whole receipt: it has a signature of its own, and the proof then needs nothing beside it.
      extra: new TextEncoder().encode(receipt),
      ...(keys === undefined ? {} : { logKeys: keys }),
    })
    if (options.output === undefined) {
      for (const line of proof.replace(/\n$/, '').split('\n')) terminal.line(line)
    } else {
      write(options.output, proof, options.force === true, context)
      terminal.line(
        { text: 'OK', colour: 'green' },
        `: row ${index} is one of ${size} in the log; proof in ${options.output}`,
      )
      if (keys === undefined)
        terminal.note(
          'The signature of its checkpoint was not checked; --log-key KEY refuses one that the log has not signed',
        )
    }
    context.exit(DONE)
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    terminal.note({ text: 'NOT PROVEN: ', colour: 'red' }, `${error.message} (${error.code})`)
    context.exit(FAILED)
  }
}

export function write(output: string, text: string, force: boolean, context: Context): void {
  const outcome = writeNewFile(located(context, pathOption(output)), text, 0o644, force)
  if (outcome !== 'written') throw new CommandError(`${output}: ${outcome}; remove it, or pass --force`)
}

export async function receiptText(
  given: string | undefined,
  file: string | undefined,
  context: Context,
): Promise<string> {
  if (given !== undefined && file !== undefined) {
    throw new CommandError('receipt: given twice; keep the argument or --file')
  }
  if (given !== undefined && given !== '-') return given.trim()
  if (given === undefined && file === undefined) {
    throw new CommandError('receipt: missing; give it, --file, or - for standard input')
  }
  const bytes = file === undefined ? await context.input() : await bytesOf(file, context)
  if (bytes.length > LARGEST_RECEIPT) {
    throw new CommandError(`receipt: ${bytes.length} bytes long, expected at most ${LARGEST_RECEIPT}`)
  }
  return new TextDecoder().decode(bytes).trim()
}

function claimsOf<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new CommandError(`receipt: ${error instanceof Error ? error.message : 'not a receipt'}`)
  }
}
