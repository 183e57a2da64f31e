/** Sign-in to the console at an identity provider: which issuer of `controlIdentity`, and as which of its clients. */

import type { IdentitySetting } from '../identity/open.ts'
import { DEFAULT_ALGORITHMS, DEFAULT_TOLERANCE_S } from '../identity/token-defaults.ts'
import type { SettingName, Settings } from './setting-table.ts'

export interface ConsoleOidc {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret?: string
  readonly scopes: readonly string[]
  /** Which of the two tokens is the credential. */
  readonly token: 'id_token' | 'access_token'
  /** Where the identity strategy looks for it. */
  readonly header: string
  /** With which the issuer may sign. */
  readonly algorithms: readonly string[]
  readonly clockToleranceS: number
}

interface Resolving {
  readonly identity: IdentitySetting | undefined
  readonly secret: string | undefined
  readonly name: (setting: SettingName) => string
  readonly problem: (text: string) => void
}

const MORE = ['consoleOidcClientSecret', 'consoleOidcClientSecretFile', 'consoleOidcIssuer'] as const

export function resolveConsoleOidc(
  chosen: Settings,
  { identity, secret, name, problem }: Resolving,
): ConsoleOidc | undefined {
  const { consoleOidcClientId: clientId, consoleOidcIssuer: wanted, consoleOidcToken: token } = chosen
  if (clientId === undefined) {
    for (const setting of MORE) {
      if (chosen[setting] !== undefined)
        problem(`${name(setting)}: set without consoleOidcClientId; set that too, or remove this`)
    }
    return undefined
  }
  const own = name('consoleOidcClientId')
  if (!chosen.console) problem(`${own}: set, but console is off; turn it on, or remove this`)
  const jwt = identity === undefined || identity === 'asserted' ? undefined : identity.jwt
  if (jwt === undefined) {
    problem(`${own}: needs controlIdentity.jwt, which says what a token of the identity provider proves`)
    return undefined
  }
  const issuers = wanted === undefined ? jwt.issuers : jwt.issuers.filter(i => i.issuer === wanted)
  const [issuer] = issuers
  if (issuer === undefined || issuers.length > 1) {
    problem(
      wanted === undefined
        ? `${own}: controlIdentity has several issuers; say with SIGNET_CONSOLE_OIDC_ISSUER at which people sign in`
        : `${name('consoleOidcIssuer')}: is no issuer of controlIdentity.jwt; write it exactly as there`,
    )
    return undefined
  }
  if (issuer.discovery !== true)
    problem(`${own}: the issuer needs "discovery": true in controlIdentity, which says where people sign in`)
  const audience = typeof issuer.audience === 'string' ? [issuer.audience] : issuer.audience
  // OpenID Connect Core 1.0 section 2: the audience of an ID token is the client id.
  if (token === 'id_token' && !audience.includes(clientId))
    problem(
      `${own}: ID tokens are for the audience "${clientId}", which the issuer's audience in controlIdentity leaves out; add it, or set SIGNET_CONSOLE_OIDC_TOKEN=access_token`,
    )
  return {
    issuer: issuer.issuer,
    clientId,
    ...(secret === undefined ? {} : { clientSecret: secret }),
    scopes: chosen.consoleOidcScopes,
    token,
    header: (jwt.header ?? 'authorization').toLowerCase(),
    algorithms: issuer.algorithms ?? DEFAULT_ALGORITHMS,
    clockToleranceS: issuer.clockToleranceS ?? DEFAULT_TOLERANCE_S,
  }
}
