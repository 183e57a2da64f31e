/** What Linux says of this process's threads. */
import { readdirSync, readFileSync } from 'node:fs'

/** Of each thread of this process. */
export const priorities = () =>
  new Map(
    readdirSync('/proc/self/task').map(task => {
      // The name, in parentheses, may hold anything; nice is the 19th field (`man 5 proc_pid_stat`).
      const [, rest = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/self/task/${task}/stat`, 'utf8')) ?? []
      return [task, Number(rest.split(' ')[16])] as const
    }),
  )

/** Times that a thread has left its core by itself (`man 5 proc_pid_status`). */
export const left = (thread: string) =>
  Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${thread}/status`, 'utf8'))?.[1])
