/**
 * The gate's redeem endpoint as a replay store: uses are remembered where capabilities are issued, each has a row in the
 * audit log, and so has what came of it. Every executor of an audience then shares one memory.
 */
import { allowedUrl } from '../jws/address.ts'
import { fromUtf8, isObject } from '../jws/bytes.ts'
import type { Outcome, ReplayStore, Use } from './replay.ts'

export interface GateRedeemerOptions {
  /** Of the gate's data plane: `https://gate.example`. https only (plain http on the loopback). */
  readonly gateUrl: string
  /** The secret that the gate's `redeemers` setting names for this audience. */
  readonly secret: string
  /** Default: the global one. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
  /** Default 5000. */
  readonly timeoutMs?: number
}

const MAX_ANSWER_BYTES = 65_536

export class GateRedeemer implements ReplayStore {
  readonly #o: GateRedeemerOptions
  readonly #base: string

  constructor(options: GateRedeemerOptions) {
    this.#o = options
    this.#base = baseOf(options.gateUrl)
  }

  async use({ jti, capability }: Use): Promise<boolean> {
    const { status, body } = await this.#post('/signet/v1/redeem', { capability })
    if (status === 409) return false
    // Some 200 of something in between is no redemption of this capability.
    if (status === 200 && isObject(body) && body['status'] === 'redeemed' && body['jti'] === jti) return true
    throw new Error(`expected 200 or 409 from the gate's redeem endpoint, got ${status}`)
  }

  async report(jti: string, { ok, detail }: Outcome): Promise<void> {
    const { status } = await this.#post(`/signet/v1/redeem/${encodeURIComponent(jti)}/outcome`, {
      ok,
      ...(detail === undefined ? {} : { detail: detail.slice(0, 256) }),
    })
    if (status !== 200) throw new Error(`expected 200 from the gate for an outcome, got ${status}`)
  }

  async #post(path: string, body: object): Promise<{ readonly status: number; readonly body: unknown }> {
    const { fetch: send = fetch, secret, timeoutMs = 5000 } = this.#o
    const response = await send(this.#base + path, {
      method: 'POST',
      // Not followed: a redirect is neither 200 nor 409. Workers have no 'error' here.
      redirect: 'manual',
      credentials: 'omit',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
    const bytes = new Uint8Array(await response.arrayBuffer())
    if (bytes.length > MAX_ANSWER_BYTES) throw new Error('the gate answered with too much')
    try {
      return { status: response.status, body: JSON.parse(fromUtf8(bytes)) }
    } catch {
      return { status: response.status, body: undefined }
    }
  }
}

function baseOf(url: string): string {
  try {
    return allowedUrl(url, 'the gate').replace(/\/+$/, '')
  } catch (error) {
    throw new TypeError(`gateUrl: ${error instanceof Error ? error.message : 'not an address'}`)
  }
}
