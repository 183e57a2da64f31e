/** Sign-in to the console at an identity provider: what has to fit together before a gate starts with it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import type { JwtIssuer } from '../identity/jwt-issuer.ts'
import { ConfigError } from './problem.ts'
import { resolveSettings } from './resolve.ts'
import type { SettingsInput } from './setting-table.ts'
import { fromEnvironment, fromPipeline } from './settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-console-oidc-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const secretFile = join(folder, 'client-secret')
writeFileSync(secretFile, 's3cret of the client\n', { mode: 0o600 })

const ISSUER: JwtIssuer = {
  issuer: 'https://sso.example.com/realms/acme',
  audience: ['signet-control', 'signet-console'],
  discovery: true,
}
const base = (...issuers: readonly JwtIssuer[]): SettingsInput => ({
  auditLogPath: join(folder, 'audit.jsonl'),
  controlIdentity: { jwt: { issuers } },
})
const resolve = (settings: SettingsInput, variables: Record<string, string> = {}) =>
  resolveSettings([fromEnvironment(variables, ''), fromPipeline(settings, 'pipeline.ts')], true)

it('is the issuer’s entry, this gate’s client, and where the credential travels', () => {
  expect(resolve(base(ISSUER)).consoleOidc).toBeUndefined()
  const { consoleOidc, settings } = resolve(base(ISSUER), {
    SIGNET_CONSOLE_OIDC_CLIENT_ID: 'signet-console',
    SIGNET_CONSOLE_OIDC_CLIENT_SECRET_FILE: secretFile,
    SIGNET_CONSOLE_OIDC_SCOPES: 'openid, email,offline_access',
  })
  expect(consoleOidc).toEqual({
    issuer: 'https://sso.example.com/realms/acme',
    clientId: 'signet-console',
    clientSecret: 's3cret of the client',
    scopes: ['openid', 'email', 'offline_access'],
    token: 'id_token',
    header: 'authorization',
    algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    clockToleranceS: 30,
  })
  expect(JSON.stringify(settings)).not.toContain('s3cret')
})

it('takes the issuer that is named, of several, and an access token for any audience', () => {
  const other = { ...ISSUER, issuer: 'https://other.example' }
  const resolved = resolve({
    ...base(other, { ...ISSUER, audience: 'signet-control', algorithms: ['ES256'], clockToleranceS: 5 }),
    consoleOidcClientId: 'signet-console',
    consoleOidcIssuer: ISSUER.issuer,
    consoleOidcToken: 'access_token',
  })
  expect(resolved.consoleOidc).toMatchObject({
    issuer: ISSUER.issuer,
    token: 'access_token',
    algorithms: ['ES256'],
    clockToleranceS: 5,
  })
})

const ID = { SIGNET_CONSOLE_OIDC_CLIENT_ID: 'signet-console' }
it.each<[Record<string, string>, SettingsInput, string]>([
  [{ SIGNET_CONSOLE_OIDC_CLIENT_SECRET: 'x' }, base(ISSUER), 'set without consoleOidcClientId'],
  [{ SIGNET_CONSOLE_OIDC_CLIENT_SECRET_FILE: secretFile }, base(ISSUER), 'set without consoleOidcClientId'],
  [{ SIGNET_CONSOLE_OIDC_ISSUER: ISSUER.issuer }, base(ISSUER), 'set without consoleOidcClientId'],
  [{ ...ID, SIGNET_CONSOLE: '0' }, base(ISSUER), 'console is off'],
  [ID, { auditLogPath: join(folder, 'audit.jsonl') }, 'needs controlIdentity.jwt'],
  [ID, base(ISSUER, { ...ISSUER, issuer: 'https://other.example' }), 'several issuers'],
  [{ ...ID, SIGNET_CONSOLE_OIDC_ISSUER: `${ISSUER.issuer}/` }, base(ISSUER), 'is no issuer of controlIdentity.jwt'],
  [ID, base({ ...ISSUER, discovery: false, jwksUri: 'https://sso.example.com/keys' }), '"discovery": true'],
  [ID, base({ ...ISSUER, audience: 'signet-control' }), 'ID tokens are for the audience "signet-console"'],
  [{ ...ID, SIGNET_CONSOLE_OIDC_SCOPES: 'email' }, base(ISSUER), 'leaves out "openid"'],
  [{ ...ID, SIGNET_CONSOLE_OIDC_SCOPES: 'openid "x"' }, base(ISSUER), 'no scope'],
  [{ ...ID, SIGNET_CONSOLE_OIDC_TOKEN: 'both' }, base(ISSUER), 'expected "id_token" or "access_token"'],
  [
    { ...ID, SIGNET_CONSOLE_OIDC_CLIENT_SECRET: 'x', SIGNET_CONSOLE_OIDC_CLIENT_SECRET_FILE: secretFile },
    base(ISSUER),
    'keep one of them',
  ],
])('%o is one line that says so', (variables, settings, said) => {
  let problems: readonly string[] = []
  try {
    resolve(settings, variables)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    problems = error.problems
  }
  expect(problems.join('\n')).toContain(said)
  expect(problems.join('\n')).not.toContain('s3cret')
})
