/**
 * A thread that works beside the gate takes processor time only where nothing else wants it. Linux has priorities for threads
 * (`man 2 setpriority`, "a per-thread attribute"); elsewhere nothing changes.
 */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** Called in the thread itself. `nice`: 1 to 19, how far it steps back. */
export function stepBack(nice: number): void {
  try {
    const id = /\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1]
    // Never the whole process: 0 would be the gate's own thread.
    if (id !== undefined && Number(id) !== process.pid) setPriority(Number(id), nice)
  } catch {
    // No such system, or not permitted: it works as well without.
  }
}
