/**
 * Connections on their way to a worker. `node:cluster` closes its own end of one when the worker says that it has it; when
 * the worker dies before, nobody does, and the caller waits for ever on a connection that no process reads.
 *
 * Guarantees: after `close`, a connection that was sent to the worker and not taken by it is reset for its caller.
 */
import type { ChildProcess } from 'node:child_process'

interface Handle {
  /** Below 0 once it is closed. */
  readonly fd: number
  /** Again is harmless. */
  close(): void
}

/** Looked through when there are so many; all but the last few are then closed ones. */
const LOOK_THROUGH = 64

export class Handed {
  #handles: Handle[] = []

  /** Sees what is sent from now on. */
  constructor(child: ChildProcess) {
    const send = child.send
    child.send = (...given: readonly unknown[]): boolean => {
      const [, handle] = given
      if (isHandle(handle)) this.#note(handle)
      return Reflect.apply(send, child, given)
    }
  }

  close(): void {
    for (const handle of this.#handles.splice(0)) handle.close()
  }

  #note(handle: Handle): void {
    this.#handles.push(handle)
    if (this.#handles.length > LOOK_THROUGH) this.#handles = this.#handles.filter(h => h.fd >= 0)
  }
}

function isHandle(value: unknown): value is Handle {
  return (
    typeof value === 'object' &&
    value !== null &&
    'fd' in value &&
    typeof value.fd === 'number' &&
    'close' in value &&
    typeof value.close === 'function'
  )
}
