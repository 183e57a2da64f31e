/** `signet receipt verify`: check a receipt offline, with the public key. */
import { readFile } from 'node:fs/promises'
import { type Context, fileError, located, pathOption, type Register } from '../context.ts'
import { CommandError, DONE, FAILED, UNUSABLE } from '../failure.ts'

interface Options {
  readonly file?: string
  readonly jwks: string
  readonly issuer: string
  readonly request?: string
  readonly response?: string
  readonly exchange?: string
  readonly final?: true
  readonly allowShadow?: true
  readonly json?: true
}

/** A receipt is at most 16 KiB; whoever gives a disk by mistake gets an answer. */
const LARGEST_RECEIPT = 64 * 1024

export const registerReceipt: Register = (program, context) => {
  program
    .command('receipt')
    .description('check receipts')
    .command('verify')
    .description('check a receipt with the public key of the gate that issued it')
    .argument('[receipt]', 'the value of X-Signet-Receipt, or - to read it from standard input')
    .option('--file <file>', 'read the receipt from a file', pathOption)
    .requiredOption('--jwks <file-or-url>', "public keys: a JWK Set, a PEM file, or the gate's /.well-known/jwks.json")
    .option('--issuer <name>', 'the issuer it must come from', 'signet')
    .option('--request <file>', 'the request body the receipt must cover', pathOption)
    .option(
      '--response <file>',
      'the response body it must cover; of a stream, the whole stream (its own receipt is then checked)',
      pathOption,
    )
    .option('--exchange <id>', 'the correlation id it must be about')
    .option('--final', 'refuse a receipt that covers no response')
    .option('--allow-shadow', 'accept a decision that was recorded and not enforced')
    .option('--json', 'print JSON')
    .action((receipt: string | undefined, options: Options) => verify(receipt, options, context))
}

async function verify(given: string | undefined, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { findStreamReceipt, ReceiptInvalid, remoteJwks, verifyReceipt, verifyStreamReceipt } = await import(
    '../../receipt/index.ts'
  )
  const requestBytes = options.request === undefined ? undefined : await bytesOf(options.request)
  const responseBytes = options.response === undefined ? undefined : await bytesOf(options.response)
  const keys = /^https?:\/\//i.test(options.jwks) ? remoteJwks(options.jwks) : await keysOf(options.jwks)
  const demands = {
    keys,
    issuer: options.issuer,
    ...(requestBytes === undefined ? {} : { requestBytes }),
    ...(options.exchange === undefined ? {} : { exchange: options.exchange }),
    ...(options.allowShadow === undefined ? {} : { allowShadow: true }),
  }
  const inStream = given === undefined && options.file === undefined
  try {
    if (inStream && (responseBytes === undefined || findStreamReceipt(responseBytes) === undefined)) {
      throw new CommandError(
        'receipt: missing; give it, --file, - for standard input, or a stream that holds one with --response',
      )
    }
    const verified =
      inStream && responseBytes !== undefined
        ? await verifyStreamReceipt(responseBytes, demands)
        : await verifyReceipt(await receiptText(), {
            ...demands,
            ...(responseBytes === undefined ? {} : { responseBytes }),
            ...(options.final === undefined ? {} : { requireFinal: true }),
          })
    const { claims, kid, covers } = verified
    if (options.json === true) terminal.json({ ok: true, key_id: kid, covers, claims })
    else {
      terminal.line({ text: 'OK', colour: 'green' }, `: the receipt is genuine, signed with key ${kid}`)
      const covered = [covers.request ? 'the request' : '', covers.response ? 'the response' : ''].filter(
        part => part !== '',
      )
      terminal.table([
        ['issuer', claims.iss],
        ['issued', new Date(claims.iat * 1000).toISOString()],
        ['exchange', claims.exchange],
        ['row', claims.jti],
        ['stage', claims.stage],
        ['decision', claims.shadow === true ? `${claims.decision} (shadow: recorded, not enforced)` : claims.decision],
        ['final', claims.final ? 'yes' : 'no'],
        [
          'compared',
          covered.length === 0 ? 'nothing; give --request and --response to compare bytes' : covered.join(' and '),
        ],
      ])
    }
    context.exit(DONE)
  } catch (error) {
    if (!(error instanceof ReceiptInvalid)) throw error
    const unusable = error.code === 'jwks_unreachable' || error.code === 'jwks_invalid'
    if (options.json === true) terminal.json({ ok: false, code: error.code, detail: error.message })
    else terminal.note({ text: unusable ? 'Error: ' : 'INVALID: ', colour: 'red' }, `${error.message} (${error.code})`)
    context.exit(unusable ? UNUSABLE : FAILED)
  }

  async function bytesOf(path: string): Promise<Uint8Array> {
    try {
      return await readFile(located(context, path))
    } catch (error) {
      throw fileError(path, error)
    }
  }

  async function receiptText(): Promise<string> {
    if (given !== undefined && options.file !== undefined)
      throw new CommandError('receipt: given twice; keep the argument or --file')
    if (given !== undefined && given !== '-') return given.trim()
    const bytes = options.file === undefined ? await context.input() : await bytesOf(options.file)
    if (bytes.length > LARGEST_RECEIPT)
      throw new CommandError(`receipt: ${bytes.length} bytes long, expected at most ${LARGEST_RECEIPT}`)
    return new TextDecoder().decode(bytes).trim()
  }

  async function keysOf(path: string): Promise<{ readonly keys: readonly Readonly<Record<string, unknown>>[] }> {
    const text = new TextDecoder().decode(await bytesOf(pathOption(path)))
    if (text.includes('PRIVATE KEY')) throw new CommandError(`${path}: holds a private key, expected public ones`)
    if (text.includes('-----BEGIN PUBLIC KEY-----')) {
      const { publicJwkOf } = await import('../../keys/signing.ts')
      return { keys: [{ ...publicJwkOf(text) }] }
    }
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw new CommandError(`${path}: expected a JWK Set (JSON) or a public key (PEM)`)
    }
    if (typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys))
      return { keys: value.keys }
    throw new CommandError(`${path}: expected a JWK Set: an object with a list of "keys"`)
  }
}
