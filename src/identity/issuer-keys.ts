/**
 * An issuer's keys, kept.
 *
 * Guarantees: keys are looked up again before they are `maxAgeS` old; while the issuer cannot be reached they serve on
 * until they are `maxStaleS` old and then not at all; a key id that is not known causes at most one look-up in
 * `cooldownS`, however many made-up ids arrive; concurrent look-ups are one.
 * Does not guarantee: that a key the issuer withdrew stops counting at once; it does with the next look-up.
 */
import { type CryptoKey, createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import type { FetchKeys } from './issuer-documents.ts'
import { IssuerUnavailable } from './issuer-documents.ts'

export interface KeyLimits {
  readonly maxAgeS: number
  readonly maxStaleS: number
  readonly cooldownS: number
}

export interface HeldKeys {
  readonly find: JWTVerifyGetKey<CryptoKey>
  /** Another number as soon as anything in the set is another. */
  readonly generation: number
}

export interface IssuerKeys {
  /** Fresh keys without waiting, or `undefined`. */
  fresh(): HeldKeys | undefined
  /** Keys that may be used now; rejects with `IssuerUnavailable`. */
  usable(): Promise<HeldKeys>
  /** After `held` did not have a key: the set as it is now, or `undefined` when it is too early to ask again. */
  again(held: HeldKeys): Promise<HeldKeys | undefined>
}

/** After a failed look-up nobody waits for the next one sooner than this. */
const RETRY_MS = 5000

export function pinnedKeys(set: JSONWebKeySet): IssuerKeys {
  const held: HeldKeys = { find: createLocalJWKSet(set), generation: 0 }
  return {
    fresh: () => held,
    usable: () => Promise.resolve(held),
    again: () => Promise.resolve(undefined),
  }
}

export function fetchedKeys(fetchKeys: FetchKeys, limits: KeyLimits, now: () => number): IssuerKeys {
  const maxAgeMs = limits.maxAgeS * 1000
  const maxStaleMs = limits.maxStaleS * 1000
  const cooldownMs = limits.cooldownS * 1000
  let held: (HeldKeys & { readonly at: number; readonly text: string }) | undefined
  let running: Promise<HeldKeys> | undefined
  let triedAt: number | undefined
  let failed = false

  const refresh = (): Promise<HeldKeys> => {
    if (running !== undefined) return running
    triedAt = now()
    running = lookUp().finally(() => {
      running = undefined
    })
    return running
  }
  const lookUp = async (): Promise<HeldKeys> => {
    try {
      const set = await fetchKeys()
      const text = JSON.stringify(set)
      const same = held !== undefined && held.text === text ? held : undefined
      held = {
        find: same?.find ?? createLocalJWKSet(set),
        generation: same?.generation ?? (held?.generation ?? 0) + 1,
        at: now(),
        text,
      }
      failed = false
      return held
    } catch (error) {
      failed = true
      throw error instanceof IssuerUnavailable
        ? error
        : new IssuerUnavailable('the issuer answered keys that cannot be used', { cause: error })
    }
  }
  /** A clock set back must not keep an old set, nor stop look-ups, for ever. */
  const within = (at: number, ms: number): boolean => {
    const age = now() - at
    return age >= 0 && age <= ms
  }
  const mayTry = (): boolean => running !== undefined || !failed || triedAt === undefined || !within(triedAt, RETRY_MS)

  const fresh = (): HeldKeys | undefined => {
    if (held === undefined || !within(held.at, maxAgeMs)) return undefined
    // Ahead of time and beside the request, so that with steady traffic nobody ever waits for the issuer.
    if (!within(held.at, maxAgeMs / 2) && running === undefined && mayTry()) refresh().catch(() => undefined)
    return held
  }

  return {
    fresh,
    async usable() {
      const current = fresh()
      if (current !== undefined) return current
      if (mayTry()) {
        try {
          return await refresh()
        } catch (error) {
          if (held === undefined || !within(held.at, maxStaleMs)) throw error
        }
      }
      if (held !== undefined && within(held.at, maxStaleMs)) return held
      throw new IssuerUnavailable('the issuer could not be reached a moment ago')
    },
    async again(tried) {
      if (held !== undefined && held.generation !== tried.generation) return held
      if (running === undefined && triedAt !== undefined && within(triedAt, cooldownMs)) {
        // Nobody can say whether the key is new or made up while the issuer is silent.
        if (failed) throw new IssuerUnavailable('the issuer could not be reached a moment ago')
        return undefined
      }
      return refresh()
    },
  }
}
