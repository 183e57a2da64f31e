/** One contract, both drivers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { PasskeyStore, StoredPasskey } from '../../core/state.ts'
import { MemoryPasskeyStore } from './memory.ts'
import { openSqlitePasskeys } from './sqlite-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-passkeys-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const sqlite = () => openSqlitePasskeys(join(folder, `${++files}.db`))

const stored = (n: number, over: Partial<StoredPasskey> = {}): StoredPasskey => ({
  id: `id-${n}`,
  ownerTag: 'bob',
  createdAtMs: 1_000 + n,
  version: 1,
  record: Buffer.from(`record ${n}`),
  ...over,
})
const plain = (p: StoredPasskey | undefined) => p && { ...p, record: Buffer.from(p.record).toString() }

const DRIVERS: [string, () => Promise<PasskeyStore>][] = [
  ['memory', async () => new MemoryPasskeyStore()],
  ['sqlite', sqlite],
]

describe.each(DRIVERS)('passkeys in %s', (_, open) => {
  it('are kept under one id, changed from the version that was read, and gone when they are taken away', async () => {
    const store = await open()
    expect(await store.add(stored(1), undefined, 10, 0)).toBe('added')
    expect(await store.add(stored(1, { ownerTag: 'mallory' }), undefined, 10, 0)).toBe('taken')
    expect(plain(await store.get('id-1'))).toEqual(plain(stored(1)))
    const next = stored(1, { version: 2, record: Buffer.from('two') })
    expect(await store.replace({ ...next, version: 3 })).toBe(false)
    const wins = await Promise.all([1, 2, 3].map(async () => store.replace(next)))
    expect(wins.filter(Boolean)).toHaveLength(1)
    expect(plain(await store.get('id-1'))).toEqual(plain(next))
    expect([await store.remove('id-1'), await store.remove('id-1')]).toEqual([true, false])
    expect(await store.get('id-1')).toBeUndefined()
    await store.close()
  })

  it('use an invitation up, once, for whom it is and in its time; one that adds nothing is still good', async () => {
    const store = await open()
    await store.invite('h', 'bob', 100, 0)
    expect(await store.invited('h', 'carol', 0)).toBe(false)
    expect(await store.add(stored(1, { ownerTag: 'carol' }), 'h', 10, 0)).toBe('not_invited')
    expect(await store.add(stored(1), 'h', 10, 100)).toBe('not_invited')
    expect(await store.add(stored(1), 'h', 0, 0)).toBe('too_many')
    expect(await store.invited('h', 'bob', 99)).toBe(true)
    const added = await Promise.all([1, 2, 3].map(async n => store.add(stored(n), 'h', 10, 0)))
    expect(added.filter(said => said === 'added')).toHaveLength(1)
    expect(await store.invited('h', 'bob', 0)).toBe(false)
    await store.close()
  })

  it('keep evidence, the newest of each escalation, without end', async () => {
    const store = await open()
    expect(await store.kept('e-1')).toBeUndefined()
    await store.keep('e-1', Buffer.from('one'))
    await store.keep('e-2', Buffer.from('two'))
    await store.keep('e-1', Buffer.from('one, and more'))
    expect(Buffer.from((await store.kept('e-1')) ?? []).toString()).toBe('one, and more')
    expect(Buffer.from((await store.kept('e-2')) ?? []).toString()).toBe('two')
    await store.close()
  })

  it('keep a bounded number of invitations, and room again when they are over', async () => {
    const store = await open()
    for (let n = 0; n < 1_000; n += 1) await store.invite(`h${n}`, 'bob', 100, 0)
    await expect((async () => store.invite('more', 'bob', 100, 99))()).rejects.toMatchObject({ name: 'StateFull' })
    await store.invite('more', 'bob', 300, 100)
    expect(await store.invited('more', 'bob', 200)).toBe(true)
    await store.close()
  })
})

it('a file that was deleted takes nothing more: a passkey taken away would be there again after a restart', async () => {
  const path = join(folder, 'deleted.db')
  const store = await openSqlitePasskeys(path)
  await store.add(stored(1), undefined, 10, 0)
  rmSync(path)
  await expect((async () => store.remove('id-1'))()).rejects.toThrow(/deleted or replaced/)
  await expect((async () => store.add(stored(2), undefined, 10, 0))()).rejects.toThrow(/deleted or replaced/)
  await store.close()
})

it('both drivers answer alike whatever is asked in whatever order', async () => {
  const n = fc.integer({ min: 1, max: 4 })
  const owner = fc.constantFrom('bob', 'carol')
  const hash = fc.constantFrom('h1', 'h2')
  const at = fc.integer({ min: 0, max: 20 })
  const step = fc.oneof(
    fc.record({ op: fc.constant('add' as const), n, owner, hash: fc.option(hash, { nil: undefined }), at }),
    fc.record({ op: fc.constant('replace' as const), n, version: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ op: fc.constant('remove' as const), n }),
    fc.record({ op: fc.constant('of' as const), owner }),
    fc.record({ op: fc.constant('invited' as const), hash, owner, at }),
  )
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
  const run = async (store: PasskeyStore, s: Step): Promise<unknown> => {
    switch (s.op) {
      case 'add':
        return store.add(stored(s.n, { ownerTag: s.owner }), s.hash, 2, s.at)
      case 'replace':
        return store.replace(stored(s.n, { version: s.version, record: Buffer.from('changed') }))
      case 'remove':
        return store.remove(`id-${s.n}`)
      case 'of':
        return (await store.of(s.owner)).map(plain)
      case 'invited':
        return store.invited(s.hash, s.owner, s.at)
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async steps => {
      const [one, two]: PasskeyStore[] = [new MemoryPasskeyStore(), await sqlite()]
      for (const store of [one, two]) {
        await store?.invite('h1', 'bob', 10, 0)
        await store?.invite('h2', 'carol', 15, 0)
      }
      if (one === undefined || two === undefined) return
      for (const s of steps) expect(await run(two, s)).toEqual(await run(one, s))
      await two.close()
    }),
    { numRuns: 40 },
  )
})
