/** `signet receipt verify`: check a receipt offline, with the public key; `signet receipt upgrade`: prove its row. */
import { readFile } from 'node:fs/promises'
import { type Context, fileError, located, pathOption, type Register } from '../context.ts'
import { CommandError, DONE, FAILED, UNUSABLE } from '../failure.ts'
import { withSource } from './log.ts'

interface Options {
  readonly file?: string
  readonly jwks?: string
  readonly proof?: string
  readonly logKey?: string
  readonly policy?: string
  readonly issuer: string
  readonly request?: string
  readonly response?: string
  readonly exchange?: string
  readonly final?: true
  readonly allowShadow?: true
  readonly json?: true
}

export const registerReceipt: Register = (program, context) => {
  const receipt = program.command('receipt').description('check receipts, and prove that their rows are in the log')

  withSource(receipt.command('upgrade').argument('[receipt]', 'the receipt, or - to read it from standard input'))
    .description('make the offline proof that the row of a receipt is in the transparency log')
    .option('--file <file>', 'read the receipt from a file', pathOption)
    .option('--log-key <key-or-file>', 'refuse a checkpoint that this key has not signed')
    .option('-o, --output <file>', 'write it here, a .tlog-proof file', pathOption)
    .option('--force', 'replace that file')
    .action(async (given: string | undefined, options) =>
      (await import('./receipt-upgrade.ts')).upgrade(given, options, context),
    )

  receipt
    .command('verify')
    .description('check a receipt with the public key of the gate that issued it')
    .argument('[receipt]', 'the value of X-Signet-Receipt, or - to read it from standard input')
    .option('--file <file>', 'read the receipt from a file', pathOption)
    .option('--proof <file>', 'a .tlog-proof: check that the row is in the log', pathOption)
    .option('--log-key <key-or-file>', "with --proof: the log's public key")
    .option('--policy <file>', 'with --proof: the witnesses who must have cosigned', pathOption)
    .option('--jwks <file-or-url>', "public keys: a JWK Set, a PEM file, or the gate's /.well-known/jwks.json")
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
  if (options.proof !== undefined) {
    const proof = { ...options, proof: options.proof }
    const { verifyReceiptProof } = await import('./receipt-proof.ts')
    const { receiptText } = await import('./receipt-upgrade.ts')
    const own =
      given === undefined && options.file === undefined ? undefined : await receiptText(given, options.file, context)
    if (options.jwks === undefined && (options.request !== undefined || options.response !== undefined)) {
      throw new CommandError(
        '--jwks: missing; the bytes are vouched for by the receipt itself, whose signature needs it',
      )
    }
    const check =
      options.jwks === undefined ? undefined : (receipt: string) => checkReceipt(receipt, options, context, true)
    return verifyReceiptProof(own, proof, context, check)
  }
  await checkReceipt(given, options, context, false)
}

/** True when it is genuine. `quiet`: says so only when it is not. */
async function checkReceipt(
  given: string | undefined,
  options: Options,
  context: Context,
  quiet: boolean,
): Promise<boolean> {
  const { terminal } = context
  if (options.jwks === undefined) {
    throw new CommandError('--jwks: missing; give the public keys, or --proof and --log-key')
  }
  const { receiptText } = await import('./receipt-upgrade.ts')
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
        : await verifyReceipt(quiet ? (given ?? '') : await receiptText(given, options.file, context), {
            ...demands,
            ...(responseBytes === undefined ? {} : { responseBytes }),
            ...(options.final === undefined ? {} : { requireFinal: true }),
          })
    if (quiet) return true
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
    return true
  } catch (error) {
    if (!(error instanceof ReceiptInvalid)) throw error
    const unusable = error.code === 'jwks_unreachable' || error.code === 'jwks_invalid'
    if (options.json === true) terminal.json({ ok: false, code: error.code, detail: error.message })
    else terminal.note({ text: unusable ? 'Error: ' : 'INVALID: ', colour: 'red' }, `${error.message} (${error.code})`)
    context.exit(unusable ? UNUSABLE : FAILED)
    return false
  }

  async function bytesOf(path: string): Promise<Uint8Array> {
    try {
      return await readFile(located(context, path))
    } catch (error) {
      throw fileError(path, error)
    }
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
