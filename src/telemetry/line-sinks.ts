/** Where lines of the access log go: a file, which may be renamed away at any time, or standard error. */
import { constants, openSync, write } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'
import type { LineSink } from './access-log.ts'

// A link could lead anywhere, and a pipe without a reader would wait for one (O_NONBLOCK makes that an error).
const FLAGS =
  constants.O_WRONLY |
  constants.O_APPEND |
  constants.O_CREAT |
  (constants.O_NOFOLLOW ?? 0) |
  (constants.O_NONBLOCK ?? 0)
const PIPE_FULL_MS = 50
const STDERR = 2

/** Opened for each batch, so that rotating it needs no signal. Throws when it cannot be opened now. */
export async function openLineFile(path: string): Promise<LineSink> {
  const sink = { append: (lines: Uint8Array) => appendTo(path, lines) }
  await sink.append(new Uint8Array(0))
  return sink
}

async function appendTo(path: string, lines: Uint8Array): Promise<void> {
  const handle = await open(path, FLAGS, 0o600)
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`"${path}" is no regular file`)
    if (lines.length > 0) await handle.appendFile(lines)
  } finally {
    await handle.close()
  }
}

/** Not by way of `process.stderr`: that writes to a pipe synchronously, and a reader who stops would stop the gate. */
export function standardError(clock: Clock): LineSink {
  const fd = nonBlocking()
  let closed = false
  return {
    append: async lines => {
      for (let at = 0; at < lines.length; ) {
        if (closed) throw new Error('closed')
        const written = await writeSome(fd, lines.subarray(at))
        if (written === 0) await new Promise<void>(resolve => clock.timer(PIPE_FULL_MS, resolve))
        at += written
      }
    },
    close: () => {
      closed = true
    },
  }
}

/** A write that blocks holds a thread, and Node does not exit before its threads do. A socket cannot be opened anew: there it may block. */
function nonBlocking(): number {
  try {
    return openSync('/dev/stderr', constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0))
  } catch {
    return STDERR
  }
}

/** 0: the pipe is full. */
function writeSome(fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, (error, written) => {
      if (error === null) resolve(written)
      else if (error.code === 'EAGAIN') resolve(0)
      else reject(error)
    })
  })
}
