/**
 * A thread that works beside the gate takes processor time only where nothing else wants it. Linux has priorities for threads
 * (`man 2 setpriority`, "a per-thread attribute"); elsewhere nothing changes.
 *
 * Priority alone is not enough: a thread that Linux has given a core keeps it for a slice, some milliseconds where the kernel is not
 * preemptible, whoever wakes meanwhile. So such a thread also gives way, often.
 */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** Long enough to be off the core; the kernel adds some 50 microseconds (`man 2 prctl`, "timer slack"). */
const AWAY_MS = 0.1
const NEVER_CHANGES = new Int32Array(new SharedArrayBuffer(4))

/** Lets those run who wait for this core. Blocks the thread meanwhile. */
export function giveWay(): void {
  Atomics.wait(NEVER_CHANGES, 0, 0, AWAY_MS)
}

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
