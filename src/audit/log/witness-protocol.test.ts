import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toUtf8 } from './bytes.ts'
import { cosignatureTime } from './cosignature.ts'
import { LogInvalid } from './errors.ts'
import { parseKey, parseSignature } from './note.ts'
import { MemoryFolder } from './testing/folder.test-support.ts'
import { hashesOf, logSigner, vectors } from './testing/vectors.test-support.ts'
import { cosignatureIn, formatAddCheckpoint, readAnswer } from './witness-protocol.ts'
import { keepWitnessState, readWitnessState, UNSEEN } from './witness-state.ts'

const { key } = await logSigner()
const end = vectors.addCheckpointBody.indexOf('\n\n')
const note = vectors.addCheckpointBody.slice(end + 2)
const witness = await parseKey(vectors.witnessVkey)
/** The time that the vector's cosignature states. */
const time = cosignatureTime(parseSignature(vectors.cosignature513.trimEnd()))
const then = Number(time) * 1000

describe('what is asked', () => {
  it('is byte for byte what the vectors say', () => {
    const [first = '', ...hashes] = vectors.addCheckpointBody.slice(0, end).split('\n')
    const old = Number(first.slice('old '.length))
    expect(old).toBe(256)
    expect(formatAddCheckpoint(old, hashesOf(hashes), note)).toBe(vectors.addCheckpointBody)
    expect(formatAddCheckpoint(0, [], note)).toBe(`old 0\n\n${note}`)
    const many = Array.from({ length: 64 }, () => new Uint8Array(32))
    expect(() => formatAddCheckpoint(1, many, note)).toThrow(LogInvalid)
  })
})

describe('what is answered', () => {
  it('is read as the specification has it', () => {
    const read = (status: number, type: string | undefined, body = '') => readAnswer(status, type, toUtf8(body))
    expect(read(200, undefined, vectors.cosignature513)).toEqual({ kind: 'cosigned', lines: vectors.cosignature513 })
    expect(read(409, 'text/x.tlog.size', '17\n')).toEqual({ kind: 'has', size: 17 })
    expect(read(409, 'Text/X.Tlog.Size; charset=utf-8', '0\n')).toEqual({ kind: 'has', size: 0 })
    for (const type of [undefined, 'text/plain', 'text/x.tlog.sizes'])
      expect(read(409, type, '17\n')).toMatchObject({ kind: 'split_view' })
    for (const body of ['', '17', '17\n\n', ' 17\n', '017\n', '+17\n', '1e3\n', '9007199254740992\n', '17\r\n'])
      expect(() => read(409, 'text/x.tlog.size', body)).toThrow(LogInvalid)
    expect(read(422, undefined)).toMatchObject({ kind: 'split_view' })
    for (const status of [400, 403, 404]) expect(read(status, undefined)).toMatchObject({ kind: 'refused' })
    for (const status of [201, 301, 307, 429, 500, 503])
      expect(read(status, undefined)).toMatchObject({ kind: 'later' })
  })

  it('is never anything but an answer or a LogInvalid', () => {
    const type = fc.option(fc.oneof(fc.constant('text/x.tlog.size'), fc.string()), { nil: undefined })
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 599 }),
        type,
        fc.uint8Array({ maxLength: 40 }),
        (status, content, body) => {
          try {
            expect(readAnswer(status, content, body).kind).toMatch(/^(cosigned|has|split_view|refused|later)$/)
          } catch (error) {
            expect(error).toBeInstanceOf(LogInvalid)
          }
        },
      ),
    )
  })
})

describe('a cosignature in an answer', () => {
  it('is the one of the vectors, alone or among others, and comes out as its line alone', async () => {
    const line = vectors.cosignature513.trimEnd()
    for (const lines of [
      vectors.cosignature513,
      `\u2014 other.test AAAAAAA=\n${vectors.cosignature513}`,
      `${vectors.cosignature513}\u2014 other.test AAAAAAA=\n`,
      `${vectors.cosignature513}${vectors.cosignature513}`,
    ]) {
      expect(await cosignatureIn(lines, note, witness, then)).toEqual({ line, time })
    }
  })

  it('counts within ten minutes of now, in both directions', async () => {
    for (const off of [-600_000, 0, 600_000])
      await expect(cosignatureIn(vectors.cosignature513, note, witness, then + off)).resolves.toMatchObject({ time })
    for (const off of [-601_000, 601_000])
      await expect(cosignatureIn(vectors.cosignature513, note, witness, then + off)).rejects.toBeInstanceOf(LogInvalid)
  })

  it('over another checkpoint, or with any bit changed, is none', async () => {
    const other = note.replace('\n513\n', '\n514\n')
    await expect(cosignatureIn(vectors.cosignature513, other, witness, then)).rejects.toMatchObject({
      code: 'signature_invalid',
    })
    const parsed = parseSignature(vectors.cosignature513.trimEnd())
    await fc.assert(
      fc.asyncProperty(fc.nat(parsed.bytes.length * 8 - 1), async bit => {
        const blob = Buffer.from(vectors.cosignature513.trimEnd().split(' ')[2] ?? '', 'base64')
        const at = 4 + (bit >> 3)
        blob[at] = (blob[at] ?? 0) ^ (1 << (bit & 7))
        const changed = `\u2014 ${witness.name} ${blob.toString('base64')}\n`
        await expect(cosignatureIn(changed, note, witness, then)).rejects.toBeInstanceOf(LogInvalid)
      }),
      { numRuns: 100 },
    )
  })

  it('is looked for in anything, and nothing but a LogInvalid comes of it', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.string().map(inner => `\u2014 ${inner}\n`),
    )
    await fc.assert(
      fc.asyncProperty(text, async lines => {
        await expect(cosignatureIn(lines, note, witness, then)).rejects.toBeInstanceOf(LogInvalid)
      }),
    )
  })
})

describe('what is kept of a witness', () => {
  it('comes back as it was', async () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
    await fc.assert(
      fc.asyncProperty(
        fc.maxSafeNat(),
        fc.option(hash, { nil: undefined }),
        fc.maxSafeNat(),
        fc.option(fc.string(), { nil: undefined }),
        async (size, root, cosignedAt, problem) => {
          const folder = new MemoryFolder(new Map([['signed', new Uint8Array(1)]]))
          await keepWitnessState(folder, witness, { size, root, cosignedAt, problem })
          const state = await readWitnessState(folder, witness)
          expect({ ...state, root: state.root && Buffer.from(state.root) }).toEqual({
            size,
            root: root && Buffer.from(root),
            cosignedAt,
            problem,
          })
          // Another key has seen nothing.
          expect(await readWitnessState(folder, key)).toEqual(UNSEEN)
        },
      ),
      { numRuns: 30 },
    )
  })

  it('is nothing, when the file holds anything else', async () => {
    const folder = new MemoryFolder(new Map([['signed', new Uint8Array(1)]]))
    await keepWitnessState(folder, witness, UNSEEN)
    const path = [...folder.view.keys()].find(name => name.startsWith('witnesses/')) ?? ''
    const garbage = fc.oneof(fc.uint8Array(), fc.json().map(toUtf8), fc.constant(toUtf8('{"size":-1}')))
    await fc.assert(
      fc.asyncProperty(garbage, async bytes => {
        expect(await readWitnessState(new MemoryFolder(new Map([[path, bytes]])), witness)).toMatchObject({ size: 0 })
      }),
    )
  })
})
