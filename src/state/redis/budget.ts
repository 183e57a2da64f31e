/**
 * Token budgets in Redis: one hash per ledger, with a field for each open reservation.
 *
 * Guarantees: gates together never reserve more than the cap; a reservation is settled once, because settling removes
 * its field, and only in the window it was made in. One that nobody settles (its gate was killed, or Redis could not be
 * reached) stays charged in full, since nobody knows whether the model was called, and ends with its window. A
 * settlement that fails is tried again when the server is back, while this process lives.
 * Does not guarantee: anything the server itself has lost; then the ledger begins afresh.
 */
import type { Random } from '../../core/clock.ts'
import type { BudgetState } from '../../core/state.ts'
import { digest } from './keys.ts'
import type { RedisLink } from './link.ts'
import { asList, asNumber, run, type Script, SERVER_TIME, script } from './script.ts'

/** Open reservations of one ledger. More would be a defect, or somebody who takes up the server's memory. */
const MOST_OPEN = 100_000
/** Settlements kept for another try. */
const MOST_UNSETTLED = 10_000
/** A ledger outlives its window by so much, in case the server's clock is set back. */
const AFTER_MS = 60_000

const READ = `
local stored = redis.call('HMGET', KEYS[1], 'v', 'end', 'used', 'reserved')
local ends, used, reserved = number(stored[2]), number(stored[3]), number(stored[4])
local known = stored[1] == '1' and ends and used and reserved
if not known and redis.call('EXISTS', KEYS[1]) == 1 then return corrupt() end
`

const RESERVE = `${READ}
local amount, cap, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local start = math.floor(now / window) * window
local fresh = not known or start >= ends
if fresh then ends, used, reserved = start + window, 0, 0 end
if used + reserved + amount > cap then
  return { 0, text(used), text(reserved), text(math.max(0, ends - now)) }
end
if not fresh and redis.call('HLEN', KEYS[1]) >= ${MOST_OPEN} then
  return redis.error_reply('FULL too many reservations are open')
end
if fresh then redis.call('UNLINK', KEYS[1]) end
redis.call('HSET', KEYS[1], 'v', '1', 'end', text(ends), 'used', text(used), 'reserved', text(reserved + amount),
  'r' .. ARGV[4], text(amount))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(0, ends - now) + ${AFTER_MS}))
return { 1 }
`

const SETTLE = `${READ}
local amount = redis.call('HGET', KEYS[1], 'r' .. ARGV[1])
if not amount then return 0 end
if not number(amount) then return corrupt() end
redis.call('HSET', KEYS[1], 'used', text(used + tonumber(ARGV[2])), 'reserved', text(math.max(0, reserved - amount)))
redis.call('HDEL', KEYS[1], 'r' .. ARGV[1])
return 1
`

/** Which ledger, and which of its fields. */
const RESERVATION = /^([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})$/

export class RedisBudgetState implements BudgetState {
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #random: Pick<Random, 'bytes'>
  readonly #reserve: Script
  readonly #settle: Script
  readonly #unsettled = new Map<string, number>()

  constructor(link: RedisLink, prefix: string, random: Pick<Random, 'bytes'>, clock = SERVER_TIME) {
    this.#link = link
    this.#prefix = prefix
    this.#random = random
    this.#reserve = script(RESERVE, clock)
    this.#settle = script(SETTLE, clock)
    link.onReady(() => this.#settleAgain())
  }

  /** Settlements that wait for the server. */
  get unsettled(): number {
    return this.#unsettled.size
  }

  async reserve(
    key: string,
    amount: number,
    cap: number,
    windowMs: number,
  ): Promise<
    | { readonly ok: true; readonly reservation: string }
    | { readonly ok: false; readonly used: number; readonly reserved: number; readonly retryAfterS: number }
  > {
    if (!(amount >= 0 && Number.isFinite(amount))) throw new RangeError('reserve: the amount must be a number >= 0')
    const ledger = digest(key)
    const field = Buffer.from(this.#random.bytes(16)).toString('base64url')
    const reservation = `${ledger}.${field}`
    // Made after all, when the exchange has long been refused: upstream was never called.
    const late = (reply: unknown): void => {
      if (Array.isArray(reply) && reply[0] === 1) this.settle(reservation, 0).catch(() => undefined)
    }
    const answer = asList(
      await run(this.#link, this.#reserve, this.#name(ledger), [amount, cap, windowMs, field], late),
    )
    if (asNumber(answer[0]) === 1) return { ok: true, reservation }
    const [used, reserved, leftMs] = [asNumber(answer[1]), asNumber(answer[2]), asNumber(answer[3])]
    return { ok: false, used, reserved, retryAfterS: leftMs / 1000 }
  }

  async settle(reservation: string, used: number): Promise<void> {
    if (!(used >= 0 && Number.isFinite(used))) throw new RangeError('settle: what was used must be a number >= 0')
    const [, ledger, field] = RESERVATION.exec(reservation) ?? []
    if (ledger === undefined || field === undefined) return
    try {
      await run(this.#link, this.#settle, this.#name(ledger), [field, used])
      this.#unsettled.delete(reservation)
    } catch (error) {
      // Whether it was carried out or not: a second time does nothing.
      if (this.#unsettled.size < MOST_UNSETTLED) this.#unsettled.set(reservation, used)
      throw error
    }
  }

  #settleAgain(): void {
    for (const [reservation, used] of this.#unsettled) this.settle(reservation, used).catch(() => undefined)
  }

  #name(ledger: string): string {
    return `${this.#prefix}budget:${ledger}`
  }
}
