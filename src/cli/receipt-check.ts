/** One receipt checked offline, with the public key. Both forms: JWS, and the older `signet=v1`. */
import { readFile, stat } from 'node:fs/promises'
import type { KeySource } from '../receipt/index.ts'
import { type Context, fileError, located, pathOption } from './context.ts'
import { CommandError, DONE, FAILED, UNUSABLE } from './failure.ts'

export interface CheckOptions {
  readonly file?: string
  readonly jwks?: string
  readonly keyId?: string
  readonly hmacSecretFile?: string
  readonly row?: string
  readonly issuer?: string
  readonly request?: string
  readonly response?: string
  readonly exchange?: string
  readonly final?: true
  readonly allowShadow?: true
  readonly json?: true
}

/** More is a log, which is read line by line. */
const LARGEST_ROW = 1024 * 1024
const DEFAULT_ISSUER = 'signet'

/** True when it is genuine. `quiet`: says so only when it is not. */
export async function checkReceipt(
  given: string | undefined,
  options: CheckOptions,
  context: Context,
  quiet: boolean,
): Promise<boolean> {
  const { terminal } = context
  const { findStreamReceipt, ReceiptInvalid, readStreamRemainder, remoteJwks, verifyReceipt, verifyStreamReceipt } =
    await import('../receipt/index.ts')
  const requestBytes = options.request === undefined ? undefined : await bytesOf(options.request)
  const responseBytes = options.response === undefined ? undefined : await bytesOf(options.response)
  const demands = {
    ...(requestBytes === undefined ? {} : { requestBytes }),
    ...(options.exchange === undefined ? {} : { exchange: options.exchange }),
    ...(options.allowShadow === undefined ? {} : { allowShadow: true }),
  }
  const inStream = given === undefined && options.file === undefined
  const found = inStream && responseBytes !== undefined ? findStreamReceipt(responseBytes) : undefined
  if (inStream && found === undefined) {
    throw new CommandError(
      'receipt: missing; give it, --file, - for standard input, or a stream that holds one with --response',
    )
  }
  const { receiptText } = await import('./commands/receipt-upgrade.ts')
  const receipt =
    found !== undefined ? found.compact : quiet ? (given ?? '') : await receiptText(given, options.file, context)
  const { isV1 } = await import('./receipt-v1.ts')
  try {
    if (isV1(receipt)) await verifyOlder(receipt)
    else await verifyJws(receipt)
    if (!quiet) context.exit(DONE)
    return true
  } catch (error) {
    if (!(error instanceof ReceiptInvalid)) throw error
    const unusable = error.code === 'jwks_unreachable' || error.code === 'jwks_invalid'
    const detail = unusable && options.jwks !== undefined ? `${options.jwks}: ${error.message}` : error.message
    if (options.json === true) terminal.json({ ok: false, code: error.code, detail })
    else terminal.note({ text: unusable ? 'Error: ' : 'INVALID: ', colour: 'red' }, `${detail} (${error.code})`)
    context.exit(unusable ? UNUSABLE : FAILED)
    return false
  }

  async function verifyJws(compact: string): Promise<void> {
    if (options.row !== undefined || options.hmacSecretFile !== undefined)
      throw new CommandError('--row and --hmac-secret-file: for signet=v1 receipts only; this one is a JWS')
    const wanted = { ...demands, keys: await keys(), issuer: options.issuer ?? DEFAULT_ISSUER }
    const { claims, kid, covers } =
      found !== undefined && responseBytes !== undefined
        ? await verifyStreamReceipt(responseBytes, wanted)
        : await verifyReceipt(compact, {
            ...wanted,
            ...(responseBytes === undefined ? {} : { responseBytes }),
            ...(options.final === undefined ? {} : { requireFinal: true }),
          })
    if (quiet) return
    if (options.json === true) terminal.json({ ok: true, key_id: kid, covers, claims })
    else {
      say(kid, [
        ['issuer', claims.iss],
        ['issued', new Date(claims.iat * 1000).toISOString()],
        ['exchange', claims.exchange],
        ['row', claims.jti],
        ['stage', claims.stage],
        ['decision', decided(claims.decision, claims.shadow === true)],
        ['final', claims.final ? 'yes' : 'no'],
        ['compared', compared(covers)],
      ])
    }
  }

  async function verifyOlder(header: string): Promise<void> {
    const { verifyV1 } = await import('./receipt-v1.ts')
    const { metaText, stageOf } = await import('../audit/facts.ts')
    const { timeOf } = await import('./row-text.ts')
    if (options.issuer !== undefined) throw new CommandError('--issuer: a signet=v1 receipt names none; leave it out')
    const covered = found === undefined ? responseBytes : responseBytes?.subarray(0, found.from)
    const verified = await verifyV1(header, signedRow, {
      ...demands,
      key: await keyOfOlder(),
      ...(covered === undefined ? {} : { responseBytes: covered }),
      ...(options.final === undefined ? {} : { requireFinal: true }),
    })
    if (found !== undefined && responseBytes !== undefined) readStreamRemainder(responseBytes.subarray(found.to))
    if (quiet) return
    const { row, kid, alg, shadow, final, covers } = verified
    const exchange = metaText(row, '_exchange_id') ?? ''
    if (options.json === true) {
      terminal.json({
        ok: true,
        form: 'signet-v1',
        alg,
        key_id: kid,
        covers,
        row: row.entryId,
        exchange,
        stage: stageOf(row),
        decision: row.decision,
        final,
        shadow,
      })
    } else {
      say(kid, [
        ['form', `signet=v1, ${alg}`],
        ['written', timeOf(row.tsNs)],
        ['exchange', exchange],
        ['row', row.entryId],
        ['stage', stageOf(row)],
        ['decision', decided(row.decision, shadow)],
        ['final', final ? 'yes' : 'no'],
        ['compared', compared(covers)],
      ])
    }
  }

  async function signedRow(entryId: string) {
    const { row: file } = options
    if (file === undefined)
      throw new CommandError('--row: missing; a signet=v1 receipt signs an audit row: give that row, or the log')
    const path = located(context, file)
    const at = await stat(path).catch((error: unknown) => {
      throw fileError(file, error)
    })
    const small = at.isFile() && at.size <= LARGEST_ROW ? await bytesOf(file) : undefined
    const { rowFrom } = await import('./receipt-v1.ts')
    return rowFrom(file, path, small, entryId)
  }

  function say(kid: string, facts: readonly (readonly [string, string])[]): void {
    terminal.line({ text: 'OK', colour: 'green' }, `: the receipt is genuine, signed with key ${kid}`)
    terminal.table(facts)
  }

  async function keys(): Promise<KeySource> {
    const { jwks } = options
    if (jwks === undefined)
      throw new CommandError('--jwks: missing; give the public keys: a JWK Set, a PEM file, hex, or an address')
    if (/^https?:\/\//i.test(jwks)) return remoteJwks(jwks)
    const { readPublicKeys } = await import('./receipt-keys.ts')
    return readPublicKeys(jwks, new TextDecoder().decode(await bytesOf(pathOption(jwks))), options.keyId)
  }

  async function keyOfOlder() {
    if (options.hmacSecretFile === undefined) return { alg: 'ed25519', keys: await keys() } as const
    if (options.jwks !== undefined)
      throw new CommandError(
        '--hmac-secret-file: set together with --jwks; keep the one that the receipt is signed with',
      )
    if (options.keyId === undefined) throw new CommandError('--key-id: missing; say which id the secret goes by')
    const { readSecretFile } = await import('../keys/store.ts')
    const { Key } = await import('../keys/ring.ts')
    const hex = readSecretFile(located(context, options.hmacSecretFile))
    // For its one-line error about what is no key.
    Key.fromHex(options.keyId, hex)
    return { alg: 'hmac-sha256', kid: options.keyId, secret: Buffer.from(hex.replace(/^0x/i, ''), 'hex') } as const
  }

  async function bytesOf(path: string): Promise<Uint8Array> {
    try {
      return await readFile(located(context, path))
    } catch (error) {
      throw fileError(path, error)
    }
  }
}

function decided(decision: string, shadow: boolean): string {
  return shadow ? `${decision} (shadow: recorded, not enforced)` : decision
}

function compared(covers: { readonly request: boolean; readonly response: boolean }): string {
  const covered = [covers.request ? 'the request' : '', covers.response ? 'the response' : ''].filter(p => p !== '')
  return covered.length === 0 ? 'nothing; give --request and --response to compare bytes' : covered.join(' and ')
}
