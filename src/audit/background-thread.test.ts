import { mkdtempSync, rmSync } from 'node:fs'
import { getPriority, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { giveWay } from './background-thread.ts'
import { BlockingFolderFiles } from './log/blocking-files.ts'
import { left, priorities } from './testing/linux-threads.test-support.ts'

describe.runIf(platform() === 'linux')('a thread beside the gate', () => {
  it('gives way to whoever waits for its core', () => {
    const before = left('thread-self')
    for (let i = 0; i < 5; i++) giveWay()
    expect(left('thread-self') - before).toBeGreaterThanOrEqual(5)
  })

  it('gives way after each file and each folder that it makes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signet-give-way-'))
    try {
      const files = new BlockingFolderFiles(folder)
      const before = left('thread-self')
      for (let i = 0; i < 50; i++) await files.write(`${i}`, Buffer.from('bytes'))
      const between = left('thread-self')
      for (let i = 0; i < 50; i++) await files.makeFolder(`${i}.p`)
      expect(between - before).toBeGreaterThanOrEqual(50)
      expect(left('thread-self') - between).toBeGreaterThanOrEqual(50)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('steps back alone: no other thread has another priority than before', async () => {
    const before = priorities()
    const url = new URL('./background-thread.ts', import.meta.url).href
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads')
       parentPort.on('message', () => parentPort.close())
       import(${JSON.stringify(url)}).then(({ stepBack }) => { stepBack(7); parentPort.postMessage('done') })`,
      { eval: true },
    )
    await new Promise(resolve => worker.once('message', resolve))
    const after = priorities()
    worker.postMessage('end')
    const own = getPriority()
    const changed = [...after].filter(([task, nice]) => nice !== (before.get(task) ?? own))
    expect(changed.map(([, nice]) => nice)).toEqual([7])
    expect(after.get(String(process.pid))).toBe(before.get(String(process.pid)))
  })
})
