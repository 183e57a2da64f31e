import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Notice } from '../../core/state.ts'
import { openSqliteNotices } from './sqlite-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-notices-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const file = () => join(folder, `${++files}.db`)
const escalation = (n: number) => `01900000-0000-7000-8000-${String(n).padStart(12, '0')}`
const notice = (n: number, over: Partial<Notice> = {}): Notice => ({
  id: `evt_${n}`,
  destination: 'a',
  escalation: escalation(n),
  event: 'escalation.created',
  atMs: 1000 + n,
  ...over,
})
const TWO = [
  { name: 'a', address: 'https://a' },
  { name: 'b', address: 'https://b' },
]

async function opened(path = file()) {
  const store = await openSqliteNotices(path)
  await store.use(TWO, 1000)
  return store
}
const DONE = { kind: 'delivered' } as const

describe('notices', () => {
  it('are given out once each, those that were never tried first, oldest first, and not again once they are settled', async () => {
    const store = await opened()
    expect(await store.add([notice(3), notice(1), notice(2)], 10)).toEqual([])
    await store.add([notice(1)], 10)
    const first = await store.take('a', 2000, 3000)
    expect(first).toMatchObject({ taken: { notice: notice(1), attempts: 0 }, waiting: 3 })
    await store.settle('a', 'evt_1', { kind: 'again', atMs: 2000, attempts: 1 })
    expect((await store.take('a', 2000, 3000)).taken?.notice.id).toBe('evt_2')
    expect((await store.take('a', 2000, 3000)).taken?.notice.id).toBe('evt_3')
    expect((await store.take('a', 2000, 3000)).taken).toMatchObject({ notice: notice(1), attempts: 1 })
    // All are out until their lease is over.
    expect(await store.take('a', 2999, 9000)).toMatchObject({ taken: undefined, nextMs: 3000, waiting: 3 })
    await store.settle('a', 'evt_2', DONE)
    await store.settle('a', 'evt_3', { kind: 'given_up' })
    await store.add([notice(1), notice(2), notice(3)], 10)
    expect(await store.take('a', 2999, 9000)).toMatchObject({ taken: undefined, nextMs: 3000, waiting: 1 })
    expect((await store.take('a', 3000, 9000)).taken?.notice.id).toBe('evt_1')
    await store.close()
  })

  it('are for each destination by itself, from the time it was there, and a new address is not a new destination', async () => {
    const store = await opened()
    await store.add([notice(1), notice(1, { destination: 'b' }), notice(1, { destination: 'c' })], 10)
    await store.add([notice(9, { atMs: 999 })], 10)
    await store.settle('a', 'evt_1', DONE)
    expect((await store.take('a', 5000, 6000)).taken).toBeUndefined()
    expect((await store.take('b', 5000, 6000)).taken?.notice).toEqual(notice(1, { destination: 'b' }))
    expect((await store.take('c', 5000, 6000)).taken).toBeUndefined()
    // `c` is new: what happened before is not for it. `b` is gone, and what waited for it with it.
    await store.use(
      [
        { name: 'a', address: 'https://elsewhere' },
        { name: 'c', address: 'https://c' },
      ],
      4000,
    )
    await store.add([notice(2, { destination: 'c' }), notice(3, { destination: 'c', atMs: 4000 })], 10)
    expect((await store.take('c', 5000, 6000)).taken?.notice.id).toBe('evt_3')
    expect((await store.take('c', 5000, 6000)).taken).toBeUndefined()
    await store.use(TWO, 5000)
    expect((await store.take('b', 9000, 9001)).taken).toBeUndefined()
    await store.add([notice(4)], 10)
    expect((await store.take('a', 9000, 9001)).taken?.notice.id).toBe('evt_4')
    await store.close()
  })

  it('of a destination that is no longer set leave nothing of it in the file', async () => {
    const path = file()
    const digests = ['b', 'https://b'].map(text => createHash('sha256').update(text).digest('hex'))
    const bytes = () => {
      const found = readFileSync(path, 'latin1')
      return digests.map(digest => found.includes(digest))
    }
    const store = await opened(path)
    await store.add([notice(1), notice(1, { destination: 'b' })], 10)
    await store.settle('b', 'evt_1', { kind: 'delivered', receipt: '17.5' })
    await store.close()
    expect(bytes()).toEqual([true, true])
    const later = await openSqliteNotices(path)
    await later.use(TWO.slice(0, 1), 9000)
    await later.close()
    expect(bytes()).toEqual([false, false])
  })

  it('that wait are bounded per destination: the oldest gives way and is not taken for new', async () => {
    const store = await opened()
    expect(await store.add([notice(1), notice(2), notice(3)], 2)).toEqual([notice(1)])
    expect(await store.add([notice(5, { destination: 'b' })], 2)).toEqual([])
    expect(await store.add([notice(1)], 2)).toEqual([])
    expect((await store.take('a', 5000, 6000)).taken?.notice.id).toBe('evt_2')
    await store.close()
  })

  it('are not for a disabled destination, until it is enabled or is another one', async () => {
    const store = await opened()
    await store.add([notice(1)], 10)
    await store.disable('a', 'it answered 410 Gone')
    await store.add([notice(2)], 10)
    expect(await store.take('a', 5000, 6000)).toMatchObject({ taken: undefined, disabled: 'it answered 410 Gone' })
    await store.use(TWO, 5000)
    expect((await store.take('a', 5000, 6000)).disabled).toBe('it answered 410 Gone')
    await store.disable('a', undefined)
    await store.add([notice(1), notice(2), notice(3)], 10)
    expect((await store.take('a', 5000, 6000)).taken?.notice.id).toBe('evt_3')
    await store.disable('a', 'gone')
    await store.use([{ name: 'a', address: 'https://other' }], 5000)
    await store.add([notice(4)], 10)
    expect((await store.take('a', 5000, 6000)).taken?.notice.id).toBe('evt_4')
    await store.close()
  })

  it('keep what their destination called them, and are forgotten when their escalation is', async () => {
    const path = file()
    const store = await opened(path)
    await store.add([notice(1), notice(2)], 10)
    await store.settle('a', 'evt_1', { kind: 'delivered', receipt: '17.5' })
    expect(await store.receipt('a', escalation(1))).toBe('17.5')
    expect(await store.receipt('b', escalation(1))).toBeUndefined()
    await store.forget(escalation(2), 1500)
    expect(await store.receipt('a', escalation(1))).toBeUndefined()
    expect((await store.take('a', 5000, 6000)).taken?.notice.id).toBe('evt_2')
    for (const suffix of ['', '-wal', '-shm']) expect(statSync(`${path}${suffix}`).mode & 0o777).toBe(0o600)
    await store.close()
    const again = await openSqliteNotices(path)
    expect((await again.take('a', 6000, 7000)).taken?.notice.id).toBe('evt_2')
    await again.close()
    await expect((async () => again.receipt('a', escalation(1)))()).rejects.toThrow(/closed/)
  })
})
