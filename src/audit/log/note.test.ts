import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromBase64, toBase64 } from './bytes.ts'
import { formatCheckpoint, openCheckpoint, parseCheckpoint } from './checkpoint.ts'
import { cosignatureTime, cosignatureVerifier, cosignedMessage } from './cosignature.ts'
import {
  ED25519,
  formatKey,
  noteKey,
  noteVerifier,
  openNote,
  parseKey,
  parseNote,
  parseSignature,
  signatureLine,
  signNote,
} from './note.ts'
import { hashOf, logSigner, vectors, witnessSigner } from './testing/vectors.test-support.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

describe('base64', () => {
  it('has one spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        expect(fromBase64(toBase64(bytes))).toEqual(Uint8Array.from(bytes))
      }),
    )
    for (const text of ['QQ', 'QQ=', 'QR==', 'QQ==\n', ' QQ==', 'Q-==', 'QUE_', '=', 'QQ==='])
      expect(fromBase64(text)).toBeUndefined()
    expect(fromBase64('')).toEqual(new Uint8Array(0))
  })
})

describe('keys', () => {
  it('are written as the vectors have them', async () => {
    const { key } = await logSigner()
    expect(formatKey(key)).toBe(vectors.logVkey)
    expect(await parseKey(vectors.logVkey)).toEqual(key)
    const witness = await witnessSigner()
    expect(formatKey(witness.key)).toBe(vectors.witnessVkey)
    expect(await parseKey(vectors.witnessVkey)).toEqual(witness.key)
  })

  it('of the signed-note page', async () => {
    const key = await parseKey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k')
    expect(key).toMatchObject({ name: 'example.com/foo', id: 0x530d903a, type: ED25519 })
  })

  it.each([
    '',
    'a+b',
    'gate.test/log+267572b2+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c',
    'gate.test/log+267572B1+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c',
    'a b+267572b1+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c',
    'gate.test/log+267572b1+AYqI',
    'gate.test/log+267572b1+',
    'x+00000000+BnRlc3Q=',
  ])('%j is none', async text => {
    await expect(parseKey(text)).rejects.toMatchObject({ code: 'key_invalid' })
  })
})

describe('signed notes', () => {
  it('are the checkpoints of the vectors, byte for byte', async () => {
    const signer = await logSigner()
    for (const [size, note] of Object.entries(vectors.checkpoints)) {
      const root = hashOf(vectors.roots[size as keyof typeof vectors.roots])
      const text = formatCheckpoint({ origin: vectors.origin, size: Number(size), root })
      expect(await signNote(text, [signer])).toBe(note)
      expect(await openCheckpoint(note, [signer.key])).toMatchObject({
        origin: vectors.origin,
        size: Number(size),
        root,
      })
    }
  })

  it('are split at the last blank line', async () => {
    const signer = await logSigner()
    const text = 'one\n\ntwo\n\n\nthree\n'
    const note = parseNote(await signNote(text, [signer]))
    expect(note.text).toBe(text)
    expect((await openNote(note, [noteVerifier(signer.key)])).verified).toHaveLength(1)
  })

  it('fail on any changed bit', async () => {
    const signer = await logSigner()
    const bytes = utf8(vectors.checkpoints['7'])
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const text = Buffer.from(changed).toString('utf8')
      await expect(openCheckpoint(text, [signer.key]), `bit ${bit}`).rejects.toMatchObject({ name: 'LogInvalid' })
    }
  })

  it('carry signatures of others, and refuse a wrong one of a known key', async () => {
    const signer = await logSigner()
    const other = { ...signer, key: await noteKey('other.test', ED25519, new Uint8Array(32).fill(9)) }
    const note = await signNote('text\n', [other, signer])
    const opened = await openNote(parseNote(note), [noteVerifier(signer.key)])
    expect(opened.verified.map(s => s.name)).toEqual(['gate.test/log'])
    expect(opened.signatures).toHaveLength(2)
    await expect(openNote(parseNote(note), [noteVerifier(other.key)])).rejects.toMatchObject({
      code: 'signature_invalid',
    })
    await expect(openNote(parseNote(note), [noteVerifier(signer.key), noteVerifier(other.key)])).rejects.toMatchObject({
      code: 'signature_invalid',
    })
    await expect(openNote(parseNote(note), [])).rejects.toMatchObject({ code: 'signature_missing' })
    // The same name with another id is another key.
    const renamed = await noteKey('gate.test/log', ED25519, new Uint8Array(32).fill(8))
    await expect(openNote(parseNote(note), [noteVerifier(renamed)])).rejects.toMatchObject({
      code: 'signature_missing',
    })
  })

  it('with a hundred signatures are read, with more not', async () => {
    const signer = await logSigner()
    const line = signatureLine(signer.key, new Uint8Array(64))
    const good = (await signNote('text\n', [signer])).slice(0, -1)
    expect(parseNote(`${good}\n${`${line}\n`.repeat(99)}`).signatures).toHaveLength(100)
    expect(() => parseNote(`${good}\n${`${line}\n`.repeat(100)}`)).toThrow('at most 100')
    // A repeated signature of one key counts once, the first.
    expect((await openNote(parseNote(`${good}\n${line}\n`), [noteVerifier(signer.key)])).verified).toHaveLength(1)
  })

  it.each([
    'text',
    'text\n',
    'text\n\n',
    '\n\n\u2014 a QUFBQUE=\n',
    'text\n\n- a QUFBQUE=\n',
    'text\n\n\u2014 a  QUFBQUE=\n',
    'text\n\n\u2014 a QUFBQUE\n',
    'text\n\n\u2014 a QUFBQUE=',
    'te\txt\n\n\u2014 a QUFBQUE=\n',
    'text\r\n\n\u2014 a QUFBQUE=\n',
    'text\n\n\u2014 a+b QUFBQUE=\n',
    'text\n\n\u2014 a QUFB\n',
    'te\ud800xt\n\n\u2014 a QUFBQUE=\n',
    'text\n\n\u2014 a QUFBQUE= \n',
    'text\n\n\u2014 a\u2003b QUFBQUE=\n',
  ])('%j is none', text => {
    expect(() => parseNote(text)).toThrow(expect.objectContaining({ code: 'malformed' }))
  })
})

describe('checkpoints', () => {
  it.each([
    'gate.test/log\n7\n',
    'gate.test/log\n07\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\n',
    'gate.test/log\n+7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\n',
    'gate.test/log\n9007199254740992\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\n',
    'gate.test/log\n7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWA==\n',
    '\n7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\n',
    'gate.test/log\n7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\nextension\n',
    'gate.test/log\n7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=',
  ])('%j is none', text => {
    expect(() => parseCheckpoint(text)).toThrow(expect.objectContaining({ code: 'malformed' }))
  })

  it('of another log are not ours, though the key were', async () => {
    const signer = await logSigner()
    const text = formatCheckpoint({ origin: 'other.test/log', size: 0, root: hashOf(vectors.roots['0']) })
    await expect(openCheckpoint(await signNote(text, [signer]), [signer.key])).rejects.toMatchObject({
      code: 'origin_wrong',
    })
  })
})

describe('cosignatures', () => {
  it('are those of the vectors', async () => {
    const { key, sign } = await witnessSigner()
    const signature = parseSignature(vectors.cosignature513.trimEnd())
    const text = parseNote(vectors.checkpoints['513']).text
    const verifier = await cosignatureVerifier(key)
    expect(signature).toMatchObject({ name: key.name, id: verifier.id })
    expect(await verifier.verify(text, signature.bytes)).toBe(true)
    const time = cosignatureTime(signature)
    expect(time).toBe(1_700_000_000n)
    const made = Buffer.alloc(72)
    made.writeBigUInt64BE(time)
    made.set(await sign(utf8(cosignedMessage(text, time))), 8)
    expect(`${signatureLine(verifier, made)}\n`).toBe(vectors.cosignature513)
  })

  it('are checked with the id of their own type, also for a key written as a plain one', async () => {
    const { key } = await witnessSigner()
    const plain = await noteKey(key.name, ED25519, key.publicKey)
    expect(plain.id).not.toBe(key.id)
    expect((await cosignatureVerifier(plain)).id).toBe(key.id)
  })

  it('cover the time, the text, and have one length', async () => {
    const { key } = await witnessSigner()
    const verifier = await cosignatureVerifier(key)
    const signature = parseSignature(vectors.cosignature513.trimEnd())
    const text = parseNote(vectors.checkpoints['513']).text
    for (const at of [0, 7, 8, 71]) {
      const changed = Uint8Array.from(signature.bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(await verifier.verify(text, changed)).toBe(false)
    }
    expect(await verifier.verify(text, signature.bytes.slice(0, -1))).toBe(false)
    expect(await verifier.verify(parseNote(vectors.checkpoints['7']).text, signature.bytes)).toBe(false)
    expect(() => cosignatureTime({ ...signature, bytes: new Uint8Array(64) })).toThrow('76 bytes')
  })
})
