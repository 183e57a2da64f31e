import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readNames } from './certificate.ts'
import { peer } from './certificates.test-support.ts'
import { type MtlsOptions, mtlsIdentity } from './mtls.ts'
import type { TlsPeer } from './strategy.ts'

const NOW = Date.parse('2026-11-23T10:00:00Z')
const ports = { now: () => NOW }
const SPIFFE: MtlsOptions = {
  san: 'uri',
  rules: [
    { name: 'spiffe://example.org/agent/{id}', owner: 'agent:{id}', clearance: 'internal' },
    { name: 'spiffe://example.org/job/nightly', owner: 'policy:nightly@1' },
  ],
}
const MAIL: MtlsOptions = { san: 'email', rules: [{ name: '{id}@example.com', owner: 'human:{id}@example.com' }] }
const HOST: MtlsOptions = { san: 'dns', rules: [{ name: '{id}.Example.org', owner: 'agent:{id}' }] }

async function who(options: MtlsOptions, tls: TlsPeer | undefined, rawHeaders: readonly string[] = []) {
  return mtlsIdentity(options, ports).identify({ rawHeaders, socketAddress: '127.0.0.1', tls })
}

const uri = (value: string): TlsPeer => ({
  authorized: true,
  certificate: { names: [{ kind: 'uri', value }], notBefore: 0, notAfter: NOW + 1 },
})

describe('a trusted certificate', () => {
  it.each<[string, MtlsOptions, TlsPeer, string]>([
    ['a SPIFFE id', SPIFFE, peer('agent'), 'agent:crawler-7'],
    ['an address', MAIL, peer('person'), 'human:alice@example.com'],
    ['a host name, in any case', HOST, peer('machine'), 'agent:build-1'],
    ['one URI beside names of other kinds', SPIFFE, peer('everything'), 'agent:both'],
    ['one address beside names of other kinds', MAIL, peer('everything'), 'human:bob@example.com'],
    ['a name that is one owner', SPIFFE, uri('spiffe://example.org/job/nightly'), 'policy:nightly@1'],
  ])('%s', async (_, options, tls, expected) => {
    const found = await who(options, tls)
    if (found.kind === 'fault') throw new Error(String(found.details?.['problem']))
    expect(`${found.owner.type}:${found.owner.id}`).toBe(expected)
    expect(found.owner.authenticatedBy).toBe('mtls')
    expect(found.usedHeaders).toEqual([])
  })

  it('has the clearance of its rule, whatever the caller says', async () => {
    const said = ['X-Caller-Clearance', 'top_secret', 'X-Commit-Owner', 'human:root', 'X-Classification', 'secret']
    expect(await who(SPIFFE, peer('agent'), said)).toMatchObject({
      owner: { id: 'crawler-7' },
      declared: { clearance: 'internal', classification: 'secret', clearanceVerified: true },
    })
  })

  it('no header changes the owner, for none is read', async () => {
    const name = fc.constantFrom(
      ...[
        'X-Commit-Owner',
        'X-Agent-Id',
        'X-Caller-Clearance',
        'X-Forwarded-Client-Cert',
        'X-SSL-Client-Cert',
        'X-Client-Verify',
      ],
    )
    const value = fc.oneof(fc.constantFrom('human:root', 'SUCCESS', 'URI=spiffe://example.org/agent/root'), fc.string())
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 5 }), async pairs => {
        expect(await who(SPIFFE, peer('agent'), pairs.flat())).toMatchObject({
          owner: { type: 'agent', id: 'crawler-7', approvalChain: ['agent:crawler-7'] },
          declared: { clearance: 'internal', clearanceVerified: true },
        })
        expect(await who(SPIFFE, undefined, pairs.flat())).toMatchObject({ details: { problem: 'absent' } })
      }),
      { numRuns: 100 },
    )
  })
})

describe('any other', () => {
  it.each<[string, MtlsOptions, TlsPeer | undefined, string]>([
    ['none at all', SPIFFE, undefined, 'absent'],
    ['not from a trusted authority', SPIFFE, peer('agent', false), 'certificate_not_trusted'],
    ['expired since the handshake', SPIFFE, peer('expired'), 'certificate_expired'],
    [
      'not valid yet',
      SPIFFE,
      { ...uri('x'), certificate: { names: [], notBefore: NOW + 1, notAfter: NOW + 2 } },
      'certificate_expired',
    ],
    ['two names of the kind', SPIFFE, peer('twoUris'), 'certificate_with_several_names'],
    ['a common name only, though it looks like an address', MAIL, peer('commonNameOnly'), 'certificate_without_name'],
    ['no name of the kind', MAIL, peer('agent'), 'certificate_without_name'],
    [
      'names that cannot be read',
      SPIFFE,
      { ...uri('x'), certificate: { names: undefined, notBefore: 0, notAfter: NOW } },
      'certificate_names_unreadable',
    ],
    ['one URI that reads as two (CVE-2021-44532)', SPIFFE, peer('injectedUri'), 'certificate_name_unknown'],
    ['one address that reads as two (CVE-2021-44532)', MAIL, peer('injectedEmail'), 'certificate_name_unknown'],
  ])('is refused: %s', async (_, options, tls, problem) => {
    expect(await who(options, tls)).toMatchObject({ kind: 'fault', code: 'credential_invalid', details: { problem } })
  })

  it.each([
    'spiffe://example.org/agent/',
    'spiffe://example.org/agent/a/b',
    'spiffe://example.org/agent/..',
    'spiffe://example.org/agent/.',
    'spiffe://example.org/agent/%61dmin',
    'spiffe://example.org/agent/a?b',
    'spiffe://example.org/agent/a#b',
    'spiffe://example.org/agent/a b',
    'spiffe://example.org/agent/a:b',
    'spiffe://example.org/agent/аdmin',
    'spiffe://example.org/agent/a\u0000',
    'spiffe://example.org.evil.example/agent/a',
    'spiffe://evil.example/spiffe://example.org/agent/a',
    'spiffe://evil@example.org/agent/a',
    'SPIFFE://example.org/agent/a',
    'spiffe://example.org/Agent/a',
    'spiffe://example.org/job/nightly/x',
    `spiffe://example.org/agent/${'a'.repeat(201)}`,
  ])('is refused: %s', async value => {
    expect(await who(SPIFFE, uri(value))).toMatchObject({ details: { problem: 'certificate_name_unknown' } })
  })

  it('a wildcard host names nobody', async () => {
    const names = [{ kind: 'dns', value: '*.example.org' }] as const
    const tls: TlsPeer = { authorized: true, certificate: { names, notBefore: 0, notAfter: NOW } }
    expect(await who(HOST, tls)).toMatchObject({ details: { problem: 'certificate_name_unknown' } })
  })
})

describe('subject alternative names as Node writes them', () => {
  it.each<[string, readonly (readonly [string, string])[] | undefined]>([
    ['', []],
    ['DNS:a.example', [['dns', 'a.example']]],
    [
      'URI:spiffe://x/y, email:a@b',
      [
        ['uri', 'spiffe://x/y'],
        ['email', 'a@b'],
      ],
    ],
    [
      'IP Address:192.0.2.1, Registered ID:1.2.3, othername:<unsupported>',
      [
        ['other', '192.0.2.1'],
        ['other', '1.2.3'],
        ['other', '<unsupported>'],
      ],
    ],
    ['URI:"a\\u002c DNS:b"', [['uri', 'a, DNS:b']]],
    [
      'DirName:"CN=x\\u002c O=y", DNS:b',
      [
        ['other', 'CN=x, O=y'],
        ['dns', 'b'],
      ],
    ],
    ['dns:a', [['other', 'a']]],
    // Not of the form: then nothing counts, not even the names before.
    ['DNS:a,DNS:b', undefined],
    ['DNS:a, ', undefined],
    ['DNS:a, DNS:', undefined],
    ['DNS', undefined],
    [':a', undefined],
    ['DNS:a"b', undefined],
    ['DNS:a\\b', undefined],
    ['DNS:a\u0000b', undefined],
    ['DNS:"a', undefined],
    ['DNS:"a"b', undefined],
    ['DNS:"a\\x"', undefined],
    [', DNS:a', undefined],
  ])('%s', (text, expected) => {
    expect(readNames(text)?.map(name => [name.kind, name.value])).toEqual(expected)
  })

  it('never reads more names than were written, whatever they hold', () => {
    const written = (value: string) =>
      /["\\,\x00-\x1f\x7f]/.test(value) ? JSON.stringify(value).replaceAll(',', '\\u002c') : value
    const name = fc.tuple(
      fc.constantFrom('URI', 'DNS', 'email', 'IP Address'),
      fc.string({ minLength: 1 }).map(s => s.replace(/[^\x00-\x7f]/g, 'x')),
    )
    fc.assert(
      fc.property(fc.array(name, { maxLength: 4 }), names => {
        const text = names.map(([kind, value]) => `${kind}:${written(value)}`).join(', ')
        expect(readNames(text)?.map(n => n.value)).toEqual(names.map(([, value]) => value))
      }),
      { numRuns: 200 },
    )
  })
})

describe('settings that cannot be meant', () => {
  it.each<[string, MtlsOptions, RegExp]>([
    ['no rules', { san: 'uri', rules: [] }, /expected at least one rule/],
    ['two places', { san: 'uri', rules: [{ name: '{id}/{id}', owner: 'agent:{id}' }] }, /at most one \{id\}/],
    [
      'an owner from nowhere',
      { san: 'uri', rules: [{ name: 'spiffe://x/y', owner: 'agent:{id}' }] },
      /one in the name/,
    ],
    ['a bare owner', { san: 'uri', rules: [{ name: 'x{id}', owner: '{id}' }] }, /owner: expected a principal/],
    ['no name', { san: 'uri', rules: [{ name: '', owner: 'agent:x' }] }, /visible ASCII/],
  ])('%s', (_, options, message) => {
    expect(() => mtlsIdentity(options, ports)).toThrow(message)
  })
})
