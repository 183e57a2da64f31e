/** Every committed input again, some hundred new ones of a fixed seed, and the fuzzer itself on a parser with a defect. */
import { describe, expect, it } from 'vitest'
import { folders, load } from './corpus.ts'
import { fuzz } from './fuzz.ts'
import { must, type Target, textOf } from './target.ts'
import { TARGETS } from './targets.ts'

describe.each(TARGETS.map(t => [t.name, t] as const))('%s', (name, target) => {
  const corpus = load(target)

  it('holds for every input of the corpus', async () => {
    expect(corpus.length).toBeGreaterThan(1)
    for (const { name: entry, bytes } of corpus) {
      try {
        await target.check(bytes)
      } catch (error) {
        throw new Error(`${name}/${entry}`, { cause: error })
      }
    }
  })

  it('holds for the first inputs of a run', async () => {
    const { failure, runs } = await fuzz(
      target,
      corpus.map(e => e.bytes),
      20_261_128,
      n => n < 200,
    )
    if (failure !== undefined)
      throw new Error(`${name}: ${Buffer.from(failure.bytes).toString('base64')}`, { cause: failure.error })
    expect(runs).toBe(200)
  })
})

describe('the corpus', () => {
  it('has no folder without a target', () => {
    const names = TARGETS.map(t => t.name)
    expect(folders().filter(folder => !names.includes(folder))).toEqual([])
  })
})

describe('the fuzzer', () => {
  const seen: string[] = []
  const broken: Target = {
    name: 'broken',
    words: ['<b>'],
    build: () => new TextEncoder().encode('harmless text of some length'),
    check: bytes => {
      seen.push(Buffer.from(bytes).toString('hex'))
      must(!/<b>.*\0/s.test(textOf(bytes)), 'no NUL behind a tag')
    },
  }

  it('finds what two steps of mutation are needed for, and makes it small', async () => {
    const { failure, runs } = await fuzz(broken, [], 7, n => n < 100_000)
    expect(runs).toBeLessThan(100_000)
    expect(textOf(failure?.bytes ?? new Uint8Array(0))).toBe('<b>\0')
  })

  it('makes the same inputs from the same seed', async () => {
    const run = async (seed: number) => {
      seen.length = 0
      await fuzz(
        { ...broken, check: bytes => void seen.push(Buffer.from(bytes).toString('hex')) },
        [],
        seed,
        n => n < 50,
      )
      return [...seen]
    }
    expect(await run(5)).toEqual(await run(5))
    expect(await run(6)).not.toEqual(await run(5))
  })
})
