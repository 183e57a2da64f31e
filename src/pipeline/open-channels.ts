/**
 * The text channels of one answer: each opened once, read a second time where it holds escapes, ended together.
 *
 * Guarantees: every check sees every channel; no more than `maxChannels` are opened (`full` then says so, and nothing
 * further is inspected or may leave).
 */
import type { Check, Ctx, MaybeAsync } from '../core/check.ts'
import type { Admitted, Decision } from '../core/exchange.ts'
import type { Channel } from '../core/wire.ts'
import { InspectedChannel, type OpenCheck } from './channel.ts'
import { DecodedReading } from './decoded.ts'
import { isThenable } from './guard.ts'
import type { Held, HeldFrames } from './held.ts'
import type { Pipeline } from './pipeline.ts'

export interface OpenChannelsOptions {
  readonly pipeline: Pipeline
  readonly exchange: Admitted
  readonly ctx: Ctx
  readonly maxChannels: number
  /** Every non-allow decision, shadowed ones included. */
  readonly note: (decision: Decision) => void
}

export class OpenChannels {
  readonly #o: OpenChannelsOptions
  readonly #held: HeldFrames
  readonly #checks: OpenCheck[]
  readonly #channels = new Map<string, InspectedChannel>()
  readonly #decoded = new Map<string, DecodedReading>()
  /** A check could not even begin: then there is a finding in every text. */
  #failing = false
  #opened = 0
  #full = false

  constructor(options: OpenChannelsOptions, held: HeldFrames) {
    this.#o = options
    this.#held = held
    this.#checks = options.pipeline.inspection.map(check => this.#openCheck(check))
  }

  /** The answer has more channels than it may have. */
  get full(): boolean {
    return this.#full
  }

  /** More text of a channel, which part `part` of the frame carries. */
  delta(held: Held, channel: Channel, text: string, part: number): MaybeAsync<void> {
    let c = this.#channels.get(channel.key)
    if (c === undefined) {
      c = this.open(channel)
      if (c === undefined) return undefined
      this.#channels.set(channel.key, c)
    }
    const from = c.length
    held.ranges.push({ part, channel: c, from, to: from + text.length })
    const pushed = c.push(text)
    // Both are JSON to somebody: content in JSON mode, and arguments of tools that upstream runs itself.
    if (channel.name !== 'content' && channel.name !== 'arguments') return pushed
    const plain = c
    if (isThenable(pushed)) return pushed.then(() => this.#decode(held, channel, plain, text, part))
    return this.#decode(held, channel, plain, text, part)
  }

  /** No check has anything to say about this whole text, which repeats others. */
  quiet(text: string): boolean {
    return !this.#failing && this.#o.pipeline.snapshots.quiet(text)
  }

  /** A whole text that repeats others. */
  snapshot(held: Held, channel: Channel, text: string, part: number): MaybeAsync<void> {
    if (this.quiet(text)) return undefined
    const c = this.open({ ...channel, snapshot: true })
    if (c === undefined) return undefined
    held.ranges.push({ part, channel: c, from: 0, to: text.length })
    return whole(c, text)
  }

  /** One that the caller feeds and ends itself; `undefined` when there are too many. */
  open(channel: Channel): InspectedChannel | undefined {
    this.#opened += channel.snapshot ? 0 : 1
    if (this.#opened > this.#o.maxChannels) {
      this.#full = true
      return undefined
    }
    const { pipeline, note } = this.#o
    return new InspectedChannel({
      channel,
      checks: this.#checks,
      scanner: pipeline.scanner,
      clock: pipeline.clock,
      times: pipeline.times.inspection,
      shadow: pipeline.shadow,
      note,
    })
  }

  /** No more text comes on any of them. */
  end(): MaybeAsync<void> {
    const decoded = new Set([...this.#decoded.values()].map(d => d.channel))
    const open: { end(): MaybeAsync<void> }[] = [
      ...[...this.#channels.values()].filter(c => !decoded.has(c)),
      ...this.#decoded.values(),
    ]
    return inTurn(
      open.map(each => () => each.end()),
      0,
    )
  }

  /** A check may block at the end, about text that has gone or about none: then the end does not go. */
  lastWord(): Decision | undefined {
    for (const c of this.#channels.values()) {
      const blocked = c.ended ? c.blocked() : undefined
      if (blocked !== undefined) return blocked
    }
    return undefined
  }

  /** The first finding of an answer that breaks off, resolved or not. */
  suspected(): Decision | undefined {
    for (const c of this.#channels.values()) {
      const decision = c.suspected()
      if (decision !== undefined) return decision
    }
    return undefined
  }

  #openCheck(check: Check): OpenCheck {
    try {
      const forChannel = check.inspect?.(this.#o.exchange, this.#o.ctx)
      if (typeof forChannel === 'function') return { check, forChannel }
    } catch (error) {
      this.#failing = true
      return { check, forChannel: () => raise(error) }
    }
    this.#failing = true
    return { check, forChannel: () => raise(new TypeError('inspect() returned no function')) }
  }

  /** See `decoded.ts`. The reading begins with the text that still waits: a match may begin there. */
  #decode(held: Held, channel: Channel, plain: InspectedChannel, text: string, part: number): MaybeAsync<void> {
    const known = this.#decoded.get(channel.key)
    if (known !== undefined) return readDecoded(held, known, text, part)
    if (!text.includes('\\')) return undefined
    const c = this.open({ ...channel, key: `${channel.key} decoded`, snapshot: true })
    if (c === undefined) return undefined
    const reading = new DecodedReading(c)
    this.#decoded.set(channel.key, reading)
    this.#channels.set(c.channel.key, c)
    const waiting: (() => MaybeAsync<void>)[] = []
    for (const earlier of this.#held.waiting()) {
      for (const r of earlier.ranges) {
        const p = r.channel === plain ? earlier.frame.parts[r.part] : undefined
        if (p?.kind === 'text') waiting.push(() => readDecoded(earlier, reading, p.text, r.part))
      }
    }
    return inTurn(waiting, 0)
  }
}

/** A channel that gets all of its text at once. */
export function whole(c: InspectedChannel, text: string): MaybeAsync<void> {
  const pushed = c.push(text)
  return isThenable(pushed) ? pushed.then(() => c.end()) : c.end()
}

function readDecoded(held: Held, reading: DecodedReading, text: string, part: number): MaybeAsync<void> {
  const { from, to, done } = reading.push(text)
  held.ranges.push({ part, channel: reading.channel, from, to, decoded: true })
  // A range that was free may have to wait again.
  held.free = 0
  return done
}

function inTurn(steps: readonly (() => MaybeAsync<void>)[], from: number): MaybeAsync<void> {
  for (let i = from; i < steps.length; i += 1) {
    const done = steps[i]?.()
    if (isThenable(done)) return done.then(() => inTurn(steps, i + 1))
  }
  return undefined
}

function raise(error: unknown): never {
  throw error
}
