/** `signet receipt verify --proof`: check an offline proof with nothing but the log's public key. */
import type { ReceiptClaims } from '../../receipt/claims.ts'
import type { Context } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { bytesOf, logKeys, policyOf } from '../log-source.ts'

export interface ProofOptions {
  readonly proof: string
  readonly logKey?: string
  readonly policy?: string
  readonly json?: true
}

/**
 * `receipt`: the one that the proof should be of; without it, the one that the proof carries. `check` verifies its own
 * signature, when there are keys for that; it exits by itself when the receipt is not genuine.
 */
export async function verifyReceiptProof(
  receipt: string | undefined,
  options: ProofOptions,
  context: Context,
  check: ((receipt: string) => Promise<boolean>) | undefined,
): Promise<void> {
  const { terminal } = context
  const { LogInvalid } = await import('../../audit/log/errors.ts')
  const { parseProof, verifyProof } = await import('../../audit/log/proof.ts')
  const { leafBytes } = await import('../../receipt/claims.ts')
  const { unverifiedClaims } = await import('../../receipt/unverified.ts')
  if (options.logKey === undefined && options.policy === undefined) {
    throw new CommandError("--log-key: missing; give the log's public key, or a --policy that names it")
  }
  const keys = options.logKey === undefined ? [] : await logKeys(options.logKey, context)
  const policy = options.policy === undefined ? undefined : await policyOf(options.policy, context)
  const text = new TextDecoder().decode(await bytesOf(options.proof, context))
  try {
    const proof = parseProof(text)
    const carried = receipt ?? (proof.extra === undefined ? undefined : new TextDecoder().decode(proof.extra))
    if (carried === undefined) {
      throw new CommandError(`${options.proof}: carries no receipt; give the receipt that it is of, with --file`)
    }
    const claims = readReceipt(() => unverifiedClaims(carried))
    const verified = await verifyProof(proof, leafBytes(claims.leaf), {
      logKeys: keys,
      ...(policy === undefined ? {} : { policy }),
    })
    if (check !== undefined && !(await check(carried))) return
    const { leaf } = claims
    const { origin, size } = verified.checkpoint
    if (options.json === true) {
      terminal.json({
        ok: true,
        log: { origin, index: verified.index, size },
        witnesses: verified.witnesses.map(({ name, time }) => ({ name, time: Number(time) })),
        leaf,
        receipt_checked: check !== undefined,
      })
    } else {
      terminal.line({ text: 'OK', colour: 'green' }, `: the row is in the log ${origin}`)
      const at = (seconds: bigint) => new Date(Number(seconds) * 1000).toISOString()
      terminal.table([
        ['entry', `${verified.index} of ${size}`],
        ['row', leaf.entry_id],
        ['exchange', leaf.exchange],
        ['decision', leaf.decision],
        ['written', new Date(Number(BigInt(leaf.ts_ns) / 1_000_000n)).toISOString()],
        [
          'witnesses',
          verified.witnesses.length === 0
            ? policy === undefined
              ? 'not looked at; give --policy'
              : 'none needed, none found'
            : verified.witnesses.map(({ name, time }) => `${name} at ${at(time)}`).join(', '),
        ],
        [
          'receipt',
          check === undefined
            ? 'its own signature was not checked, so nothing is shown about request and response; give --jwks'
            : 'genuine',
        ],
      ])
    }
    context.exit(DONE)
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    if (options.json === true) terminal.json({ ok: false, code: error.code, detail: error.message })
    else terminal.note({ text: 'INVALID: ', colour: 'red' }, `${error.message} (${error.code})`)
    context.exit(FAILED)
  }
}

function readReceipt(read: () => ReceiptClaims): ReceiptClaims {
  try {
    return read()
  } catch (error) {
    throw new CommandError(`receipt: ${error instanceof Error ? error.message : 'not a receipt'}`)
  }
}
