/** One contract, both drivers. */
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { EscalationBounds, EscalationStore, StoredEscalation } from '../../core/state.ts'
import { MemoryEscalationStore } from './memory.ts'
import { openSqliteEscalations } from './sqlite-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-escalations-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const file = () => join(folder, `${++files}.db`)

const id = (n: number) => `01900000-0000-7000-8000-${String(n).padStart(12, '0')}`
const stored = (n: number, over: Partial<StoredEscalation> = {}): StoredEscalation => ({
  id: id(n),
  ownerTag: 'alice',
  state: 'pending',
  createdAtMs: 1_000 + n,
  expiresAtMs: 2_000 + n,
  version: 1,
  record: Buffer.from(`record ${n}`),
  ...over,
})
const plain = (e: StoredEscalation | undefined) => e && { ...e, record: Buffer.from(e.record).toString() }

const DRIVERS: [string, (bounds?: EscalationBounds) => Promise<EscalationStore>][] = [
  ['memory', async bounds => new MemoryEscalationStore(bounds)],
  ['sqlite', bounds => openSqliteEscalations(file(), bounds)],
]

describe.each(DRIVERS)('escalations in %s', (_, open) => {
  it('keep what they were given, and take the next version only', async () => {
    const store = await open()
    const e = stored(1)
    await store.create(e, Buffer.from('answer'))
    expect(plain(await store.get(e.id))).toEqual(plain(e))
    expect(Buffer.from((await store.answer(e.id)) ?? []).toString()).toBe('answer')
    await expect((async () => store.create(e, Buffer.of()))()).rejects.toThrow()

    const next = { ...e, state: 'approved', version: 2, record: Buffer.from('two') }
    expect(await store.replace({ ...next, version: 3 })).toBe(false)
    expect(await store.replace(next)).toBe(true)
    expect(await store.replace(next)).toBe(false)
    expect(Buffer.from((await store.answer(e.id)) ?? []).toString()).toBe('answer')
    expect(await store.replace({ ...next, state: 'released', version: 3 }, Buffer.from('bytes'))).toBe(true)
    expect(Buffer.from((await store.answer(e.id)) ?? []).toString()).toBe('bytes')
    expect(await store.replace({ ...next, version: 4 }, 'drop')).toBe(true)
    expect(await store.answer(e.id)).toBeUndefined()
    expect(await store.replace({ ...stored(9), version: 2 })).toBe(false)
    await store.close()
  })

  it('list newest first, page by page, and by state; find what is due; forget what is over', async () => {
    const store = await open()
    for (let n = 1; n <= 5; n += 1) await store.create(stored(n, n === 3 ? { state: 'denied' } : {}), Buffer.of(n))
    const ids = async (q: Parameters<EscalationStore['list']>[0]) => (await store.list(q)).map(e => e.id)
    expect(await ids({ limit: 2 })).toEqual([id(5), id(4)])
    expect(await ids({ limit: 9, before: id(4) })).toEqual([id(3), id(2), id(1)])
    expect(await ids({ limit: 9, states: ['denied'] })).toEqual([id(3)])
    expect([...(await store.due(2_003, ['pending', 'approved'], 9))].sort()).toEqual([id(1), id(2)])
    expect(await store.due(2_003, ['pending'], 1)).toHaveLength(1)
    await store.forget(2_004, ['denied', 'expired'])
    expect(await ids({ limit: 9 })).toEqual([id(5), id(4), id(2), id(1)])
    await store.close()
  })

  it('refuse an id that is there as taken, also when there is no room, and do not make room with it', async () => {
    const store = await open({ maxPerOwner: 2, maxEntries: 2, maxBytes: 100 })
    const again = (n: number, answer = Buffer.of(1)) => (async () => store.create(stored(n), answer))()
    await store.create(stored(1), Buffer.of(1))
    await store.create(stored(2), Buffer.of(1))
    await expect(again(1)).rejects.toThrow('exists already')
    expect(await store.replace({ ...stored(1), state: 'denied', version: 2 })).toBe(true)
    await expect(again(1, Buffer.alloc(80))).rejects.toThrow('exists already')
    expect((await store.get(id(1)))?.state).toBe('denied')
    await store.close()
  })

  it('are bounded in what waits, in all and per owner; what is over makes room, oldest first', async () => {
    const store = await open({ maxPerOwner: 2, maxEntries: 3, maxBytes: 10_000 })
    const add = async (n: number, over: Partial<StoredEscalation> = {}, answer = Buffer.of(1)) =>
      store.create(stored(n, over), answer)
    const over = async (n: number, answer: Uint8Array | 'drop' = 'drop') =>
      expect(await store.replace({ ...stored(n), state: 'denied', version: 2 }, answer)).toBe(true)
    const ids = async () => (await store.list({ limit: 9 })).map(e => e.id)
    await add(1)
    await add(2)
    await expect(add(3)).rejects.toMatchObject({ name: 'StateFull' })
    await add(3, { ownerTag: 'bob' })
    await expect(add(4, { ownerTag: 'carol' })).rejects.toMatchObject({ name: 'StateFull' })
    await over(1)
    await add(4)
    await over(2, Buffer.alloc(9_000))
    await add(5, { ownerTag: 'carol' }, Buffer.alloc(500))
    expect(await ids()).toEqual([5, 4, 3, 2, 1].map(id))
    await over(4)
    // Bytes: the oldest that are over go, and no more of them than must.
    await add(6, { ownerTag: 'dave' }, Buffer.alloc(2_000))
    expect(await ids()).toEqual([6, 5, 4, 3].map(id))
    await over(5)
    await expect(add(7, { ownerTag: 'eve' }, Buffer.alloc(9_000))).rejects.toMatchObject({ name: 'StateFull' })
    await store.close()
  })

  it('drop the answers of what is over, and keep those of what waits', async () => {
    const store = await open()
    await store.create(stored(1), Buffer.from('one'))
    await store.create(stored(2), Buffer.from('two'))
    await store.replace({ ...stored(2), state: 'released', version: 2 }, Buffer.from('bytes'))
    await store.dropAnswers(2_001, ['released'])
    expect(await store.answer(id(2))).toBeDefined()
    await store.dropAnswers(2_002, ['released'])
    expect(await store.answer(id(2))).toBeUndefined()
    expect(await store.answer(id(1))).toBeDefined()
    await store.close()
  })

  it('let exactly one of many who replace the same version win', async () => {
    const store = await open()
    await store.create(stored(1), Buffer.of())
    const wins = await Promise.all(
      Array.from({ length: 20 }, async (_, i) =>
        store.replace({ ...stored(1), version: 2, record: Buffer.from(String(i)) }),
      ),
    )
    expect(wins.filter(Boolean)).toHaveLength(1)
    await store.close()
  })
})

it('both drivers answer alike whatever is asked in whatever order', async () => {
  const n = fc.integer({ min: 1, max: 4 })
  const states = fc.constantFrom('pending', 'approved', 'denied', 'expired', 'released')
  const step = fc.oneof(
    fc.record({ op: fc.constant('create' as const), n, state: states, owner: fc.constantFrom('a', 'b') }),
    fc.record({ op: fc.constant('replace' as const), n, state: states, version: fc.integer({ min: 2, max: 4 }) }),
    fc.record({ op: fc.constant('list' as const), states: fc.array(states, { maxLength: 2 }) }),
    fc.record({ op: fc.constant('due' as const), at: fc.integer({ min: 1_999, max: 2_006 }) }),
    fc.record({ op: fc.constant('forget' as const), at: fc.integer({ min: 1_999, max: 2_006 }) }),
    fc.record({ op: fc.constant('drop' as const), at: fc.integer({ min: 1_999, max: 2_006 }) }),
    fc.record({ op: fc.constant('get' as const), n }),
  )
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
  const run = async (store: EscalationStore, s: Step): Promise<unknown> => {
    try {
      switch (s.op) {
        case 'create':
          await store.create(stored(s.n, { state: s.state, ownerTag: s.owner }), Buffer.alloc(s.n))
          return 'made'
        case 'replace':
          return await store.replace(stored(s.n, { state: s.state, version: s.version }))
        case 'list':
          return (await store.list({ limit: 9, ...(s.states.length === 0 ? {} : { states: s.states }) })).map(plain)
        case 'due':
          return [...(await store.due(s.at, ['pending', 'approved'], 9))].sort()
        case 'forget':
          return await store.forget(s.at, ['denied', 'expired', 'released'])
        case 'drop':
          return await store.dropAnswers(s.at, ['denied', 'released'])
        case 'get':
          return [plain(await store.get(id(s.n))), Buffer.from((await store.answer(id(s.n))) ?? []).length]
      }
    } catch (error) {
      return error instanceof Error && error.name === 'StateFull' ? 'full' : 'taken'
    }
  }
  const bounds = { maxPerOwner: 2, maxEntries: 3 }
  const sqlite = await openSqliteEscalations(file(), bounds)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async steps => {
      const memory = new MemoryEscalationStore(bounds)
      await sqlite.forget(Number.MAX_SAFE_INTEGER, ['pending', 'approved', 'denied', 'expired', 'released'])
      for (const s of steps) expect(await run(sqlite, s)).toEqual(await run(memory, s))
    }),
    { numRuns: 300 },
  )
  await sqlite.close()
})

describe('the file', () => {
  it('survives being closed, is for its owner alone, and answers nothing once closed', async () => {
    const path = file()
    const store = await openSqliteEscalations(path)
    await store.create(stored(1), Buffer.from('answer'))
    for (const suffix of ['', '-wal', '-shm']) expect(statSync(`${path}${suffix}`).mode & 0o777).toBe(0o600)
    await store.close()
    await expect((async () => store.get(id(1)))()).rejects.toThrow(/closed/)
    const again = await openSqliteEscalations(path)
    expect(plain(await again.get(id(1)))).toEqual(plain(stored(1)))
    await again.close()
  })

  it.each(['deleted', 'replaced'])(
    'that was %s takes nothing more, as it would be gone with the process',
    async how => {
      const path = file()
      const store = await openSqliteEscalations(path)
      await store.create(stored(1), Buffer.from('answer'))
      if (how === 'deleted') rmSync(path)
      else {
        await (await openSqliteEscalations(`${path}.other`)).close()
        renameSync(`${path}.other`, path)
      }
      await expect((async () => store.create(stored(2), Buffer.of()))()).rejects.toThrow(/deleted or replaced/)
      await expect((async () => store.replace({ ...stored(1), state: 'approved', version: 2 }))()).rejects.toThrow()
      await store.close()
    },
  )

  it('that is none, or of another form, is refused in one line', async () => {
    const path = file()
    writeFileSync(path, 'this is not a database at all, but long enough to look like one'.repeat(40))
    await expect(openSqliteEscalations(path)).rejects.toThrow(
      /^\S+\.db: .* damaged \(file is not a database\); restore it/,
    )
    const cut = file()
    await (await openSqliteEscalations(cut)).close()
    const bytes = readFileSync(cut)
    writeFileSync(cut, bytes.fill(0xff, 100, bytes.length))
    await expect(openSqliteEscalations(cut)).rejects.toThrow(/^\S+\.db: .* damaged \(.*malformed\); restore it/)
    const other = file()
    const db = new DatabaseSync(other)
    db.exec('PRAGMA user_version=7')
    db.close()
    await expect(openSqliteEscalations(other)).rejects.toThrow(/form 1, found 7/)
    await expect(openSqliteEscalations(join(folder, 'no', 'such', 'place'))).rejects.toThrow(/ENOENT/)
  })
})
