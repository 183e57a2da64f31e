/** `signet receipt verify`: check a receipt offline, with the public key; `signet receipt upgrade`: prove its row. */
import { type Context, pathOption, type Register } from '../context.ts'
import { CommandError } from '../failure.ts'
import type { CheckOptions } from '../receipt-check.ts'
import { withSource } from './log.ts'

interface Options extends CheckOptions {
  readonly proof?: string
  readonly logKey?: string
  readonly policy?: string
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
    .option(
      '--jwks <file-or-url>',
      "public keys: a JWK Set, a PEM file, a file of 64 hex digits, or the gate's /.well-known/jwks.json",
    )
    .option('--key-id <id>', 'the id that a single key (PEM, hex, secret) goes by; default: its thumbprint')
    .option('--issuer <name>', 'the issuer it must come from (default: "signet")')
    .option('--row <file>', 'signet=v1 only: the audit row it signs, or the log that holds it', pathOption)
    .option(
      '--hmac-secret-file <file>',
      'signet=v1 with hmac-sha256 only: the chain key, instead of --jwks',
      pathOption,
    )
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
  const { checkReceipt } = await import('../receipt-check.ts')
  if (options.proof !== undefined) {
    const proof = { ...options, proof: options.proof }
    const { verifyReceiptProof } = await import('./receipt-proof.ts')
    const { receiptText } = await import('./receipt-upgrade.ts')
    const own =
      given === undefined && options.file === undefined ? undefined : await receiptText(given, options.file, context)
    const demand = OF_THE_RECEIPT.find(([key]) => options[key] !== undefined)
    if (options.jwks === undefined && demand !== undefined) {
      throw new CommandError(
        `--jwks: missing; what ${demand[1]} demands only the receipt itself vouches for, whose signature needs it`,
      )
    }
    const check =
      options.jwks === undefined ? undefined : (receipt: string) => checkReceipt(receipt, options, context, true)
    return verifyReceiptProof(own, proof, context, check)
  }
  if (options.logKey !== undefined || options.policy !== undefined) {
    throw new CommandError(
      `${options.logKey === undefined ? '--policy' : '--log-key'}: given without --proof, so the log would not be looked at; make a proof with signet receipt upgrade, or leave it out`,
    )
  }
  await checkReceipt(given, options, context, false)
}

/** Demands that a proof says nothing about: without the receipt's keys they would pass unseen. */
const OF_THE_RECEIPT = [
  ['request', '--request'],
  ['response', '--response'],
  ['exchange', '--exchange'],
  ['issuer', '--issuer'],
  ['final', '--final'],
  ['keyId', '--key-id'],
  ['hmacSecretFile', '--hmac-secret-file'],
  ['row', '--row'],
] as const
