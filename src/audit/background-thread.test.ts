import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { getPriority, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { giveWay } from './background-thread.ts'
import { BlockingFolderFiles } from './log/blocking-files.ts'

/** Of each thread of this process. */
const priorities = () =>
  new Map(
    readdirSync('/proc/self/task').map(task => {
      // The name, in parentheses, may hold anything; nice is the 19th field (`man 5 proc_pid_stat`).
      const [, rest = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/self/task/${task}/stat`, 'utf8')) ?? []
      return [task, Number(rest.split(' ')[16])] as const
    }),
  )

/** Times that a thread has left its core by itself (`man 5 proc_pid_status`). */
const left = (thread: string) =>
  Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${thread}/status`, 'utf8'))?.[1])

describe.runIf(platform() === 'linux')('a thread beside the gate', () => {
  it('gives way to whoever waits for its core', () => {
    const before = left('thread-self')
    for (let i = 0; i < 5; i++) giveWay()
    expect(left('thread-self') - before).toBeGreaterThanOrEqual(5)
  })

  it('gives way after each file that it makes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signet-give-way-'))
    try {
      const files = new BlockingFolderFiles(folder)
      const before = left('thread-self')
      for (let i = 0; i < 5; i++) await files.write(`${i}`, Buffer.from('bytes'))
      expect(left('thread-self') - before).toBeGreaterThanOrEqual(5)
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
