import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it } from 'vitest'
import { StateFull } from '../core/memory-state.ts'
import { type OnStoreState, StoreThread } from './store-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-store-thread-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const address = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)

const STORES = [
  ['escalations', './escalations/sqlite-thread.ts', 'openSqliteEscalations', 'store.list({ limit: 1 })'],
  ['redemptions', './redemptions/sqlite-thread.ts', 'openSqliteRedemptions', "store.find('a')"],
] as const

describe.each(STORES)('the store of %s', (name, path, open, question) => {
  const run = promisify(execFile)

  it('keeps a process alive while it is opened and asked, and not when it is idle', async () => {
    const program = join(folder, `${name}.mjs`)
    const file = JSON.stringify(join(folder, `${name}.db`))
    const script = `
      const { ${open} } = await import(${address(path)})
      const store = await ${open}(${file})
      await ${question}
      console.log('answered')`
    writeFileSync(program, script)
    expect((await run(process.execPath, [program])).stdout).toBe('answered\n')
  })

  it('refuses a file of another form', async () => {
    const file = join(folder, `${name}-other.db`)
    const db = new DatabaseSync(file)
    db.exec('PRAGMA user_version=7')
    db.close()
    const opened = (await import(new URL(path, import.meta.url).href)) as Record<
      string,
      (p: string) => Promise<unknown>
    >
    await expect(opened[open]?.(file)).rejects.toThrow(/form 1, found 7/)
  })
})

/** A thread that opens, and then does as it is told. */
function thread(open = 'undefined', onState?: OnStoreState) {
  const source = `
    const { parentPort } = require('node:worker_threads')
    import(${address('./store-thread.ts')}).then(({ serveStore }) =>
      serveStore(parentPort, 'the store', () => {
        ${open}
        return call => {
          if (call === 'die') process.exit(1)
          if (call === 'full') throw Object.assign(new Error('no room'), { name: 'StateFull' })
          if (call === 'odd') throw 5
          if (call === 'fill') globalThis.filled = true
          if (call === 'free') globalThis.filled = false
          if (call === 'write' && globalThis.filled) throw new Error('database or disk is full')
          return call
        }
      }),
    )`
  return StoreThread.open<string>(new Worker(source, { eval: true }), 'the store', onState)
}

describe('a store behind a thread', () => {
  it('answers in order, and an error is that of its own call', async () => {
    const store = await thread()
    const said = await Promise.allSettled([store.ask('a'), store.ask('full'), store.ask('odd'), store.ask('b')])
    expect(said.map(s => (s.status === 'fulfilled' ? s.value : String(s.reason)))).toEqual([
      'a',
      'StateFull: no room',
      'StoreFailed: the store failed',
      'b',
    ])
    await expect(store.ask('full')).rejects.toBeInstanceOf(StateFull)
    await store.close('last')
    await expect(store.ask('a')).rejects.toThrow('the store is closed')
    await store.close('last')
  })

  it('is not confused by a call that cannot be copied', async () => {
    const store = await thread()
    const uncopied: unknown = () => undefined
    const said = await Promise.allSettled([store.ask('a'), store.ask(uncopied as string), store.ask('b')])
    expect(said.map(s => (s.status === 'fulfilled' ? s.value : 'refused'))).toEqual(['a', 'refused', 'b'])
    await store.close('last')
  })

  it('that dies tells everybody who waits, and is asked nothing more', async () => {
    const store = await thread()
    const said = await Promise.allSettled([store.ask('die'), store.ask('a'), store.ask('b')])
    expect(said.map(s => s.status)).toEqual(['rejected', 'rejected', 'rejected'])
    await expect(store.ask('a')).rejects.toThrow('the store is closed')
  })

  it('tells the operator once that it fails, also while it can still be read, and once that it does not', async () => {
    const said: string[] = []
    const store = await thread('undefined', (ok, text) => said.push(`${ok ? 'info' : 'warning'}: ${text}`))
    const tries = (...calls: string[]) => Promise.allSettled(calls.map(call => store.ask(call)))
    await tries('write', 'full', 'fill', 'write', 'read', 'write')
    expect(said).toEqual(['warning: the store cannot be used (database or disk is full)'])
    await tries('free', 'read', 'write', 'write', 'fill', 'write')
    expect(said.slice(1)).toEqual([
      'info: the store is used again',
      'warning: the store cannot be used (database or disk is full)',
    ])
    await tries('die')
    expect(said.slice(3)).toEqual(['warning: the store is closed (it ended); restart the gate'])
  })

  it('that is closed says nothing', async () => {
    const said: string[] = []
    const store = await thread('undefined', (_, text) => said.push(text))
    await store.close('last')
    await new Promise(resolve => setImmediate(resolve))
    expect(said).toEqual([])
  })

  it('that cannot be opened says why', async () => {
    await expect(thread("throw new Error('no such disk')")).rejects.toThrow('no such disk')
  })
})
