import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { remoteJwks } from '../jws/jwks.ts'
import { SigningKey } from '../keys/signing.ts'
import { ReceiptInvalid, verifyReceipt } from '../receipt/index.ts'
import { issueReceipt } from '../receipt/issue.ts'
import { argumentsOfText } from './arguments.ts'
import { CapabilityInvalid } from './errors.ts'
import { requireCapability } from './guard.ts'
import { issueCapability } from './issue.ts'
import { MemoryReplayStore, type ReplayStore } from './replay.ts'
import {
  ARGUMENTS,
  claimsOf,
  executor,
  HEADER,
  hmacSigned,
  ISSUER,
  KEYS,
  key,
  NOW_S,
  segment,
  signed,
  TOOL,
  tokenFor,
} from './testing/tokens.test-support.ts'
import { verifyCapability } from './verify.ts'

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(CapabilityInvalid)
  return (error as CapabilityInvalid).code
}

const verify = (token: unknown, more: object = {}) =>
  verifyCapability(token, { ...executor(), tool: TOOL, argumentsText: ARGUMENTS, ...more })

describe('a capability', () => {
  it('permits its call once, with the value that was read', async () => {
    const options = executor()
    const token = await tokenFor()
    const call = { tool: TOOL, argumentsText: ' { "amount" : 5e1, "account":"\\u0058" } ' }
    const verified = await verifyCapability(token, { ...options, ...call })
    expect(verified.arguments).toEqual({ account: 'X', amount: 50 })
    expect(verified.claims).toEqual({ ...(await claimsOf()), jti: verified.claims.jti })
    expect(verified.kid).toBe(key.kid)
    expect(await codeOf(verifyCapability(token, { ...options, ...call }))).toBe('already_used')
  })

  it('is for its tool, its audience, its issuer, its arguments and its time', async () => {
    const token = await tokenFor()
    expect(await codeOf(verify(token, { tool: 'get_weather' }))).toBe('tool_wrong')
    expect(await codeOf(verify(token, { audience: 'https://pay.example/' }))).toBe('audience_wrong')
    expect(await codeOf(verify(token, { issuer: 'Signet-test' }))).toBe('issuer_wrong')
    expect(await codeOf(verify(token, { argumentsText: '{"account":"X","amount":51}' }))).toBe('arguments_mismatch')
    expect(await codeOf(verify(token, { argumentsText: '{"account":"X"}' }))).toBe('arguments_mismatch')
    const at = (s: number) => ({ now: () => s * 1000 })
    expect(await codeOf(verify(token, at(NOW_S - 5.001)))).toBe('not_yet_valid')
    expect(await codeOf(verify(token, at(NOW_S + 120)))).toBe('expired')
    expect(await codeOf(verify(token, at(Number.NaN)))).toBe('not_yet_valid')
    await verify(token, at(NOW_S - 5))
    await verify(token, at(NOW_S + 119.999))
  })

  it('of a shadowed call is refused unless asked for', async () => {
    const token = await tokenFor(ARGUMENTS, { shadow: true })
    expect(await codeOf(verify(token))).toBe('shadow_refused')
    expect((await verify(token, { allowShadow: true })).claims.shadow).toBe(true)
  })

  it('is not used up by a call that it does not permit', async () => {
    const options = executor()
    const token = await tokenFor()
    for (const wrong of [
      { tool: 'other', argumentsText: ARGUMENTS },
      { tool: TOOL, argumentsText: '{}' },
    ])
      await codeOf(verifyCapability(token, { ...options, ...wrong }))
    await verifyCapability(token, { ...options, tool: TOOL, argumentsText: ARGUMENTS })
  })

  it.each([
    'iss',
    'sub',
    'aud',
    'jti',
    'nbf',
    'exp',
    'tool',
    'args',
    'call',
    'exchange',
    'approval',
    'shadow',
  ] as const)('with a changed %s has no signature', async claim => {
    const [header = '', payload = '', signature = ''] = (await tokenFor(ARGUMENTS, { approval: 'a1' })).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    claims[claim] = typeof claims[claim] === 'number' ? claims[claim] + 1 : claim === 'shadow' ? true : 'other'
    expect(await codeOf(verify(`${header}.${segment(claims)}.${signature}`))).toBe('capability_signature_invalid')
  })

  it.each([
    ['iss', ''],
    ['sub', undefined],
    ['aud', ['https://pay.example']],
    ['jti', 5],
    ['nbf', '1900000000'],
    ['nbf', 1.5],
    ['exp', undefined],
    ['exp', NOW_S],
    ['exp', NOW_S + 3_601],
    ['tool', null],
    ['args', 'sha256:ABC'],
    ['args', undefined],
    ['call', ''],
    ['exchange', {}],
    ['approval', 7],
    ['shadow', false],
  ])('whose %s is %j is none, whoever signed it', async (claim, value) => {
    const claims = { ...(await claimsOf()), [claim]: value }
    expect(await codeOf(verify(await signed(HEADER, claims)))).toBe('claims_malformed')
  })

  it('has the one algorithm, the one type, and no keys of its own', async () => {
    const claims = await claimsOf()
    const cases: readonly (readonly [object, string])[] = [
      [{ ...HEADER, alg: 'Ed25519' }, 'capability_alg_not_allowed'],
      [{ ...HEADER, alg: 'none' }, 'capability_alg_not_allowed'],
      [{ ...HEADER, typ: 'JWT' }, 'capability_typ_wrong'],
      [{ ...HEADER, typ: 'Signet-Capability+jwt' }, 'capability_typ_wrong'],
      [{ alg: 'EdDSA', kid: key.kid }, 'capability_typ_wrong'],
      [{ ...HEADER, kid: undefined }, 'capability_kid_missing'],
      [{ ...HEADER, kid: 'unknown' }, 'key_unknown'],
      ...['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'zip'].map(
        name => [{ ...HEADER, [name]: 'https://evil.example' }, 'capability_header_forbidden'] as const,
      ),
    ]
    for (const [header, code] of cases)
      expect([header, await codeOf(verify(await signed(header, claims)))]).toEqual([header, code])
    const none = `${segment({ ...HEADER, alg: 'none' })}.${segment(claims)}.`
    expect(await codeOf(verify(none))).toBe('capability_malformed')
    // The public key as an HMAC secret, in the spellings in which it could be read.
    for (const secret of [key.publicPem(), key.publicBytes(), JSON.stringify(key.publicJwk)]) {
      const forged = hmacSigned({ ...HEADER, alg: 'HS256' }, claims, secret)
      expect(await codeOf(verify(forged))).toBe('capability_alg_not_allowed')
      expect(await codeOf(verify(hmacSigned(HEADER, claims, secret)))).toBe('capability_signature_invalid')
    }
    const stranger = SigningKey.generate()
    expect(await codeOf(verify(await signed(HEADER, claims, stranger)))).toBe('capability_signature_invalid')
  })

  it.each([undefined, null, '', 7, {}, 'a.b', 'a.b.c.d', 'x'.repeat(20_000), 'ey.ey.ey'])('is not %j', async what => {
    expect(await codeOf(verify(what))).toMatch(/^capability_(missing|malformed|too_long)$/)
  })

  it('is no receipt, and a receipt is no capability', async () => {
    const leaf = {
      v: 1,
      entry_id: 'r1',
      exchange: 'e1',
      ts_ns: '1',
      decision: 'allow',
      commit: 'a'.repeat(64),
    } as const
    const about = { stage: 'admission', decision: 'allow', final: false, req: `sha256:${'a'.repeat(64)}` } as const
    const receipt = await issueReceipt({ iss: ISSUER, iat: 1, jti: 'r1', exchange: 'e1', ...about, leaf }, key)
    expect(await codeOf(verify(receipt))).toBe('capability_typ_wrong')
    const options = { keys: { keys: [key.publicJwk] }, issuer: ISSUER }
    await verifyReceipt(receipt, options)
    const error = await verifyReceipt(await tokenFor(), options).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ReceiptInvalid)
    expect(error).toMatchObject({ code: 'receipt_typ_wrong' })
  })

  it('is not signed with a key that the gate publishes for receipts', async () => {
    const keys = { keys: [{ ...key.publicJwk, signet_purpose: 'receipts' }] }
    expect(await codeOf(verify(await tokenFor(), { keys }))).toBe('key_unusable')
    await verify(await tokenFor(), { keys: { keys: [key.publicJwk] } })
  })

  it('signed with a rotated key passes as soon as the key set has it', async () => {
    const next = SigningKey.generate()
    let served: object = KEYS
    let nowMs = 0
    let fetched = 0
    const fetch = () => {
      fetched += 1
      return Promise.resolve(Response.json(served))
    }
    const keys = remoteJwks('https://gate.example/.well-known/jwks.json', { fetch, now: () => nowMs })
    await verify(await tokenFor(), { keys })
    await verify(await tokenFor(), { keys })
    expect(fetched).toBe(1)
    const token = await issueCapability(await claimsOf(), next)
    expect(await codeOf(verify(token, { keys }))).toBe('key_unknown')
    served = { keys: [next.publicJwk] }
    nowMs = 31_000
    await verify(token, { keys })
    expect(fetched).toBe(2)
    // The old key is gone with the document that named it.
    expect(await codeOf(verify(await tokenFor(), { keys }))).toBe('key_unknown')
  })

  it('needs keys from a safe address', async () => {
    const token = await tokenFor()
    for (const jwksUrl of ['http://gate.example/jwks.json', 'https://u:p@gate.example/jwks.json', 'file:///etc/keys'])
      expect(await codeOf(verify(token, { keys: undefined, jwksUrl }))).toBe('jwks_unreachable')
    expect(await codeOf(verify(token, { keys: () => Promise.reject(new Error('down')) }))).toBe('jwks_unreachable')
    await expect(verify(token, { keys: undefined })).rejects.toThrow('expected a JWK Set')
  })
})

describe('the store of uses', () => {
  it.each([
    ['throws', () => Promise.reject(new Error('down')), 'replay_unavailable'],
    [
      'throws at once',
      () => {
        throw new Error('down')
      },
      'replay_unavailable',
    ],
    ['says nonsense', () => 'yes' as unknown as boolean, 'already_used'],
  ])('that %s refuses, and nothing runs', async (_what, use, code) => {
    let ran = 0
    const guarded = requireCapability(
      TOOL,
      () => {
        ran += 1
      },
      executor({ replay: { use } as ReplayStore }),
    )
    expect(await codeOf(guarded({ capability: await tokenFor(), argumentsText: ARGUMENTS }))).toBe(code)
    expect(ran).toBe(0)
  })

  it('in memory refuses when it is full, forgets only what is over, and then has room again', async () => {
    const store = new MemoryReplayStore({ maxEntries: 2 })
    const use = (jti: string, nowMs: number, untilMs = 10_000) =>
      store.use({ issuer: 'i', jti, capability: '', untilMs, nowMs })
    expect([use('a', 0), use('b', 0, 30_000), use('a', 0)]).toEqual([true, true, false])
    expect(() => use('c', 5_000)).toThrow('remembered already')
    expect([use('c', 10_000), use('b', 10_000), use('c', 10_000)]).toEqual([true, false, false])
    expect(store.use({ issuer: 'other', jti: 'b', capability: '', untilMs: 50_000, nowMs: 40_000 })).toBe(true)
  })

  it('remembers a use for longer than the capability is good for', async () => {
    const untils: number[] = []
    const replay: ReplayStore = { use: ({ untilMs }) => untils.push(untilMs) > 0 }
    await verify(await tokenFor(), { replay })
    expect(untils).toEqual([(NOW_S + 125) * 1000])
  })

  it('lets one of a hundred through', async () => {
    let ran = 0
    const guarded = requireCapability(TOOL, () => (ran += 1), executor())
    const capability = await tokenFor()
    const all = await Promise.allSettled(
      Array.from({ length: 100 }, () => guarded({ capability, argumentsText: ARGUMENTS })),
    )
    expect(ran).toBe(1)
    expect(all.filter(one => one.status === 'fulfilled').length).toBe(1)
  })

  it('has the use before the handler runs, and is told how it went', async () => {
    const told: unknown[] = []
    const replay: ReplayStore = {
      use: ({ jti }) => told.push(['used', jti]) > 0,
      report: (jti, outcome) => Promise.resolve(void told.push([jti, outcome])),
    }
    const claims = await claimsOf(ARGUMENTS, { jti: 'x' })
    const run = requireCapability(
      TOOL,
      () => {
        told.push('ran')
      },
      executor({ replay }),
    )
    await run({ capability: await issueCapability(claims, key), arguments: { account: 'X', amount: 50 } })
    const fail = requireCapability(
      TOOL,
      () => {
        throw new RangeError('secret')
      },
      executor({ replay }),
    )
    await expect(fail({ capability: await issueCapability(claims, key), argumentsText: ARGUMENTS })).rejects.toThrow(
      'secret',
    )
    expect(told).toEqual([
      ['used', 'x'],
      'ran',
      ['x', { ok: true }],
      ['used', 'x'],
      ['x', { ok: false, detail: 'RangeError' }],
    ])
  })

  it('that cannot take an outcome changes nothing about it', async () => {
    const failed: unknown[] = []
    const replay: ReplayStore = { use: () => true, report: () => Promise.reject(new Error('down')) }
    const run = requireCapability(
      TOOL,
      () => 'done',
      executor({ replay, onReportFailed: (e: unknown) => failed.push(e) }),
    )
    expect(await run({ capability: await tokenFor(), argumentsText: ARGUMENTS })).toBe('done')
    expect(failed).toHaveLength(1)
  })
})

describe('arguments', () => {
  const value = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 6 })

  it('pass in any spelling of their value', () =>
    fc.assert(
      fc.asyncProperty(value, fc.infiniteStream(fc.nat(5)), async (given, picks) => {
        const pick = () => picks.next().value ?? 0
        const text = JSON.stringify(given)
        const read = await argumentsOfText(text)
        // What has no I-JSON form has no capability.
        fc.pre(read !== undefined)
        const token = await tokenFor(text)
        const { arguments: got } = await verify(token, { argumentsText: spelled(given, pick) })
        expect(sorted(got)).toBe(sorted(given))
        await verify(token, { argumentsText: undefined, arguments: given })
      }),
      { numRuns: 200 },
    ))

  it('of any other value do not', () =>
    fc.assert(
      fc.asyncProperty(value, value, async (given, other) => {
        const [a, b] = await Promise.all([given, other].map(v => argumentsOfText(JSON.stringify(v))))
        fc.pre(a !== undefined && b !== undefined)
        const same = a?.digest === b?.digest
        // The digest means the value: an independent comparison says the same.
        expect(same).toBe(sorted(given) === sorted(other))
        fc.pre(!same)
        const token = await tokenFor(JSON.stringify(given))
        expect(await codeOf(verify(token, { argumentsText: JSON.stringify(other) }))).toBe('arguments_mismatch')
      }),
      { numRuns: 200 },
    ))

  it.each([
    '{"account":"X","account":"X","amount":50}',
    '{"account":"X","amount":50,"\\u0061ccount":"Y"}',
    '{"account":"X","amount":50}{}',
    '{"account":"X","amount":50.000000000000000001}',
    '{"a":12345678901234567890}',
    '{"a":"\\ud800"}',
    '{"a":1e999}',
    '[1]',
    'null',
    '{',
    ' ',
    `{"a":${'['.repeat(70)}${']'.repeat(70)}}`,
  ])('written as %s are no one value', async argumentsText => {
    expect(await codeOf(verify(await tokenFor(), { argumentsText }))).toBe('arguments_ambiguous')
  })

  it('that are left out are the empty object', async () => {
    for (const argumentsText of ['', '{}', ' { } ']) await verify(await tokenFor('{}'), { argumentsText })
  })

  it('given as an object reach the handler as a value of their own', async () => {
    let looked = 0
    const shifty = {
      account: 'X',
      get amount() {
        return (looked += 1) === 1 ? 50 : 5_000_000
      },
    }
    const { arguments: got } = await verify(await tokenFor(), { argumentsText: undefined, arguments: shifty })
    expect([got['amount'], got['amount']]).toEqual([50, 50])
    for (const nothing of [undefined, null, 5, 'text', [1], () => 1, { a: 1n }, { a: undefined }, { a: Number.NaN }])
      expect(await codeOf(verify(await tokenFor(), { argumentsText: undefined, arguments: nothing }))).toBe(
        'arguments_ambiguous',
      )
  })
})

/** JSON with members in another order, blanks anywhere, and letters as escapes. */
function spelled(value: unknown, pick: () => number): string {
  const gap = () => ' \n\t\r'.slice(0, pick() % 5)
  const text = (s: string) =>
    JSON.stringify(s).replace(/[a-z](?![^\\]*$)|[A-Z]/g, c =>
      pick() === 0 && !/[bfnrtu]/.test(c) ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c,
    )
  if (typeof value === 'string') return gap() + text(value)
  if (Array.isArray(value)) return `${gap()}[${value.map(v => spelled(v, pick)).join(',')}${gap()}]`
  if (typeof value !== 'object' || value === null) return gap() + JSON.stringify(value)
  const entries = Object.entries(value).map(([k, v]) => `${gap()}${text(k)}${gap()}:${spelled(v, pick)}`)
  if (pick() % 2 === 0) entries.reverse()
  return `${gap()}{${entries.join(',')}${gap()}}${gap()}`
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, v: unknown) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))
      : v,
  )
}
