import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, platform } from 'node:os'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'

/** Of each thread of this process. */
const priorities = () =>
  new Map(
    readdirSync('/proc/self/task').map(task => {
      // The name, in parentheses, may hold anything; nice is the 19th field (`man 5 proc_pid_stat`).
      const [, rest = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/self/task/${task}/stat`, 'utf8')) ?? []
      return [task, Number(rest.split(' ')[16])] as const
    }),
  )

describe.runIf(platform() === 'linux')('a thread beside the gate', () => {
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
