import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toUtf8 } from './bytes.ts'
import { COSIGNATURE_ED25519, formatKey, parseKey } from './note.ts'
import { meets, parsePolicy, type Quorum } from './policy.ts'
import { formatProof, parseProof, verifyProof } from './proof.ts'
import { signerOf, vectors } from './testing/vectors.test-support.ts'

const log = await parseKey(vectors.logVkey)
const entry = toUtf8('entry-100')
const policyText = `# ours\nlog ${vectors.logVkey}\n\twitness w1 ${vectors.witnessVkey} https://witness.test/\n\nquorum w1\n`
const withoutWitness = vectors.tlogProof.replace(vectors.cosignature513, '')

describe('a tlog-proof', () => {
  it('of the vectors is read and written byte for byte, and verifies with the key alone', async () => {
    const proof = parseProof(vectors.tlogProof)
    expect(formatProof(proof)).toBe(vectors.tlogProof)
    const verified = await verifyProof(proof, entry, { logKeys: [log] })
    expect(verified).toMatchObject({ index: 100, checkpoint: { origin: vectors.origin, size: 513 }, witnesses: [] })
  })

  it('is checked against a policy, which can name the log', async () => {
    const policy = await parsePolicy(policyText)
    const verified = await verifyProof(parseProof(vectors.tlogProof), entry, { logKeys: [], policy })
    expect(verified.witnesses).toEqual([{ name: 'w1', time: 1_700_000_000n }])
    await expect(verifyProof(parseProof(withoutWitness), entry, { logKeys: [], policy })).rejects.toMatchObject({
      code: 'quorum_unmet',
    })
    await verifyProof(parseProof(withoutWitness), entry, { logKeys: [log], policy: await parsePolicy('quorum none') })
    await expect(verifyProof(parseProof(withoutWitness), entry, { logKeys: [] })).rejects.toMatchObject({
      code: 'key_invalid',
    })
  })

  it('with a wrong cosignature of a known witness is refused even where none is needed', async () => {
    const policy = await parsePolicy(policyText.replace('quorum w1', 'quorum none'))
    const line = vectors.cosignature513.replace('AAABlU', 'AAABlV')
    expect(line).not.toBe(vectors.cosignature513)
    const proof = parseProof(vectors.tlogProof.replace(vectors.cosignature513, line))
    await expect(verifyProof(proof, entry, { logKeys: [], policy })).rejects.toMatchObject({
      code: 'signature_invalid',
    })
    // Without the policy nobody knows that witness.
    await verifyProof(proof, entry, { logKeys: [log] })
  })

  it('fails on any changed bit', async () => {
    const policy = await parsePolicy(policyText)
    const bytes = toUtf8(vectors.tlogProof)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length * 8 - 1), async bit => {
        const changed = Uint8Array.from(bytes)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const text = Buffer.from(changed).toString('utf8')
        const outcome = (async () => verifyProof(parseProof(text), entry, { logKeys: [log], policy }))()
        await expect(outcome, `bit ${bit}`).rejects.toMatchObject({ name: 'LogInvalid' })
      }),
      { numRuns: 400 },
    )
  })

  it('is about this entry and no other', async () => {
    const proof = parseProof(vectors.tlogProof)
    await expect(verifyProof(proof, toUtf8('entry-101'), { logKeys: [log] })).rejects.toMatchObject({
      code: 'proof_invalid',
    })
    const other = await signerOf('gate.test/log', 7, 1)
    await expect(verifyProof(proof, entry, { logKeys: [other.key] })).rejects.toMatchObject({
      code: 'signature_missing',
    })
  })

  it('keeps its extra bytes, and a one-leaf tree has no hash lines', () => {
    const made = { extra: toUtf8('of the application'), index: 0, hashes: [], checkpoint: vectors.checkpoints['7'] }
    expect(parseProof(formatProof(made))).toEqual(made)
    expect(parseProof(formatProof({ ...made, extra: undefined })).extra).toBeUndefined()
  })

  it.each([
    ['another version', (t: string) => t.replace('@v1', '@v2')],
    ['no index', (t: string) => t.replace('index 100\n', '')],
    ['a leading zero', (t: string) => t.replace('index 100', 'index 0100')],
    ['a short hash', (t: string) => t.replace('fBrl4YMTzgHor39nd3RtKRsck4YlFaNeE4zEcwEGJXU=', 'fBrl')],
    ['extra after the index', (t: string) => t.replace('index 100\n', 'index 100\nextra QQ==\n')],
    ['extra that is not base64', (t: string) => t.replace('index 100\n', 'extra Q\nindex 100\n')],
    ['no checkpoint', (t: string) => t.slice(0, t.indexOf('\n\n') + 1)],
    [
      'too many hashes',
      (t: string) =>
        t.replace('index 100\n', `index 100\n${'fBrl4YMTzgHor39nd3RtKRsck4YlFaNeE4zEcwEGJXU=\n'.repeat(64)}`),
    ],
  ])('with %s is refused', (_, change) => {
    expect(() => parseProof(change(vectors.tlogProof))).toThrow(expect.objectContaining({ code: 'malformed' }))
  })
})

describe('a policy', () => {
  const names = ['x1', 'x2', 'x3', 'y1', 'y2', 'y3']
  const lines = async () => {
    const keys = await Promise.all(names.map((_, i) => signerOf('same.test/witness', 10 + i, COSIGNATURE_ED25519)))
    return names.map((name, i) => `witness ${name} ${formatKey((keys[i] as (typeof keys)[number]).key)}\n`).join('')
  }

  it('of two levels counts as written', async () => {
    const policy = await parsePolicy(
      `${await lines()}group xs 2 x1 x2 x3\ngroup ys any y1 y2 y3\ngroup both all xs ys\nquorum both\n`,
    )
    expect(policy.witnesses.map(w => w.name)).toEqual(names)
    fc.assert(
      fc.property(fc.subarray(names), cosigned => {
        const count = (letter: string) => cosigned.filter(name => name.startsWith(letter)).length
        expect(meets(policy.quorum, new Set(cosigned))).toBe(count('x') >= 2 && count('y') >= 1)
      }),
    )
  })

  it('names one witness, or none', async () => {
    const one = await parsePolicy(`${await lines()}quorum y2`)
    expect(one.quorum).toEqual<Quorum>({ kind: 'witness', name: 'y2' })
    expect(meets((await parsePolicy('quorum none\n')).quorum, new Set())).toBe(true)
  })

  it.each([
    ['without a quorum', ''],
    ['with two', 'quorum none\nquorum none\n'],
    ['with an unknown line', 'quorum none\nlogs x\n'],
    ['with a quorum of nobody', 'quorum x9\n'],
    ['with a group of nobody', 'group g any x9\nquorum none\n'],
    ['with an empty group', 'group g any\nquorum none\n'],
    ['with a threshold of none', `WITNESSES group g 0 x1\nquorum none\n`],
    ['with a threshold of more than all', `WITNESSES group g 3 x1 x2\nquorum none\n`],
    ['with a member twice', `WITNESSES group g any x1 x1\nquorum g\n`],
    ['with a member of two groups', `WITNESSES group g any x1\ngroup h any x1\nquorum g\n`],
    ['with a name twice', `WITNESSES group x1 any x2\nquorum none\n`],
    ['with a name that is taken', `WITNESSES group none any x2\nquorum none\n`],
    ['with a key twice', `witness a ${vectors.witnessVkey}\nwitness b ${vectors.witnessVkey}\nquorum none\n`],
    ['with a log twice', `log ${vectors.logVkey}\nlog ${vectors.logVkey}\nquorum none\n`],
    ["with a witness's key for a log", `log ${vectors.witnessVkey}\nquorum none\n`],
    ['with a damaged key', `log ${vectors.logVkey.slice(0, -1)}\nquorum none\n`],
    ['with a carriage return', 'quorum none\r\n'],
    ['with a comment at a line end', 'quorum none # really\n'],
  ])('%s is refused, and the line is named', async (_, text) => {
    const whole = text.replace('WITNESSES ', await lines())
    await expect(parsePolicy(whole)).rejects.toMatchObject({
      code: 'policy_invalid',
      message: /^(policy line \d+: )?expected/,
    })
  })
})
