/**
 * Several verified strategies side by side: people by token, machines by certificate.
 *
 * Guarantees: the kind of credential that is presented decides, and its verdict is final; a request that presents two
 * kinds is refused, for it would depend on our order whose it is. What callers merely say (`asserted`) is no kind.
 */
import type { Fault } from '../core/wire.ts'
import { badCredential, noCredential } from './credential.ts'
import type { IdentityStrategy, VerifiedStrategy } from './strategy.ts'

const NAME = 'first_presented'

export function firstPresented(strategies: readonly IdentityStrategy[]): VerifiedStrategy {
  if (strategies.length === 0) throw new TypeError('identity: expected at least one strategy')
  const members = strategies.map(checkMember)
  const carriers = members.flatMap(member => member.carriers)
  const shared = carriers.find((carrier, index) => carriers.indexOf(carrier) !== index)
  if (shared !== undefined) throw new TypeError(`identity: two strategies read the same credential (${shared})`)
  const headers = [...new Set(members.flatMap(member => member.headers))]
  const challenge = members.find(member => member.challenge !== undefined)?.challenge

  return {
    name: NAME,
    verified: true,
    headers,
    carriers,
    ...(challenge === undefined ? {} : { challenge }),
    clientCertificates: members.some(member => member.clientCertificates === true),
    presents: request => members.some(member => member.presents(request)),
    identify(request) {
      let chosen: VerifiedStrategy | undefined
      for (const member of members) {
        if (!member.presents(request)) continue
        if (chosen !== undefined) return TWO
        chosen = member
      }
      return chosen === undefined ? NONE : chosen.identify(request)
    },
  }
}

const NONE: Fault = Object.freeze(noCredential(NAME))
const TWO: Fault = Object.freeze(badCredential(NAME, 'two_kinds'))

function checkMember(strategy: IdentityStrategy): VerifiedStrategy {
  if (isVerified(strategy)) return strategy
  throw new TypeError(
    `identity: "${strategy.name}" does not verify anything and cannot stand beside strategies that do; use it alone or leave it out`,
  )
}

function isVerified(strategy: IdentityStrategy): strategy is VerifiedStrategy {
  return strategy.verified && 'carriers' in strategy && 'presents' in strategy
}
