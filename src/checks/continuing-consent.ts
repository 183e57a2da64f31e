/**
 * `continuing_consent`: while output flows, ask again and again whether the owner still stands behind it.
 *
 * The question is asked at fixed places: before the first character of the exchange's output and before every
 * `checkEveryChars`-th one after it, counted over all channels in the order they arrive. Network chunks and timing do
 * not move these places, and no text behind one is released before its answer. Anything but `true` ends the output; so
 * does a revalidation that throws. One that hangs is ended by the check's time limit.
 */
import type { Check, Ctx, Inspection, Inspector, MaybeAsync, Piece } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { ALLOW, type Block, block } from '../core/verdict.ts'
import type { Channel } from '../core/wire.ts'
import { CheckOptions, type Common, type CommonOptions, description, errorClass, isPromise } from './options.ts'

/** Does the owner of this exchange still consent? Must be `true` to go on. */
export type Revalidate = (x: Exchange, signal: AbortSignal) => MaybeAsync<boolean>

export interface ContinuingConsentOptions extends CommonOptions {
  readonly revalidate: Revalidate
  /** UTF-16 units of output between two questions. Default 2000. */
  readonly checkEveryChars?: number
  /** What the refusal says. Default `owner consent withdrawn during stream`. */
  readonly revocationReason?: string
}

export class ContinuingConsentCheck implements Check {
  readonly name = 'continuing_consent'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly snapshots = 'none'
  readonly #common: Common
  readonly #revalidate: Revalidate
  readonly #every: number
  readonly #reason: string

  constructor(options: ContinuingConsentOptions) {
    const read = new CheckOptions(this.name, options, ['revalidate', 'checkEveryChars', 'revocationReason'])
    this.#common = read.common(90)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    if (typeof options.revalidate !== 'function') {
      throw read.wrong('revalidate', 'a function (exchange, signal) => boolean', options.revalidate)
    }
    this.#revalidate = options.revalidate
    this.#every = read.whole('checkEveryChars', 2_000, 1)
    this.#reason = read.text('revocationReason', 'owner consent withdrawn during stream')
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['inspection'], this.#common, {
      revalidate: this.#revalidate.name,
      checkEveryChars: this.#every,
      revocationReason: this.#reason,
    })
  }

  inspect(x: Exchange, ctx: Ctx): (channel: Channel) => Inspector | undefined {
    const consent = new Consent(() => this.#revalidate(x, ctx.signal), this.#every, this.#reason)
    // Text that only repeats what has passed asks nothing.
    return channel => (channel.snapshot === true ? undefined : new ConsentInspector(consent))
  }
}

/** The state of one exchange, shared by its channels. */
class Consent {
  readonly #ask: () => MaybeAsync<boolean>
  readonly #every: number
  readonly #reason: string
  /** Characters read so far. */
  #total = 0
  /** Where the next question stands. */
  #next = 0
  #withdrawn = false

  constructor(ask: () => MaybeAsync<boolean>, every: number, reason: string) {
    this.#ask = ask
    this.#every = every
    this.#reason = reason
  }

  /** Asks every question that stands before one of the next `chars` characters of a channel that is at `at`. */
  advance(at: number, chars: number): MaybeAsync<Inspection> {
    const start = this.#total
    this.#total += chars
    return this.#askOn(at - start, at + chars)
  }

  #askOn(shift: number, settled: number): MaybeAsync<Inspection> {
    while (!this.#withdrawn && this.#next < this.#total) {
      const place = this.#next
      this.#next += this.#every
      let answer: MaybeAsync<boolean>
      try {
        answer = this.#ask()
      } catch (error) {
        return this.#end(place, shift, settled, { error })
      }
      if (isPromise(answer)) {
        return answer.then(
          yes => (yes === true ? this.#askOn(shift, settled) : this.#end(place, shift, settled)),
          (error: unknown) => this.#end(place, shift, settled, { error }),
        )
      }
      if (answer !== true) return this.#end(place, shift, settled)
    }
    return { settled, verdict: ALLOW }
  }

  /** Said once. Fed on (in shadow), the exchange asks nothing more. */
  #end(place: number, shift: number, settled: number, failure?: { readonly error: unknown }): Inspection {
    this.#withdrawn = true
    return { settled, verdict: this.#refusal(place, failure), at: place + shift }
  }

  #refusal(place: number, failure: { readonly error: unknown } | undefined): Block {
    if (failure === undefined) return block('consent_withdrawn', this.#reason, { offset: place })
    return block('consent_withdrawn', 'continuing-consent revalidation failed; failing closed', {
      offset: place,
      error_class: errorClass(failure.error),
    })
  }
}

class ConsentInspector implements Inspector {
  readonly #consent: Consent

  constructor(consent: Consent) {
    this.#consent = consent
  }

  push(piece: Piece): MaybeAsync<Inspection> {
    return this.#consent.advance(piece.at, piece.text.length)
  }

  /** The last piece is empty: every question has been asked. */
  end(piece: Piece): Inspection {
    return { settled: piece.at + piece.text.length, verdict: ALLOW }
  }
}
