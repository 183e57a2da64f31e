/**
 * Whether npm, which started this program, is still there. `npx` and `npm start` run a shell, the shell runs us, and a
 * signal to npm ends npm and the shell only: without this the gate would go on by itself, with its port and its log, after
 * whoever started it believes it ended.
 *
 * Guarantees: within about a second of our parent's end we know it, when npm's script was this program and nothing else.
 * Not guaranteed: anything for a script that puts us in the background or runs us through something else; a parent that
 * ends is then no sign of anything. Nor on Windows, where a process keeps the id of a parent that is gone.
 */

/** `npx signet …`, or a script that is one foreground command: what npm says it runs (`npm_lifecycle_script`). */
const ONLY_US = /^(?:'signet'|"signet"|signet|node \S*\bcli\/bin\.js)(?: [^&|;()`\n]*)?$/

export function isNpmScriptOfOurs(environment: Readonly<Record<string, string | undefined>>): boolean {
  return ONLY_US.test(environment['npm_lifecycle_script'] ?? '')
}

export interface Parent {
  /** The id of our parent now; another one has taken its place when it ended. */
  readonly id: () => number
  /** Calls back about once a second, and keeps no process alive; returns how to stop that. */
  readonly often: (f: () => void) => () => void
}

/** Resolves when the parent of the time of this call has ended. */
export function parentGone(parent: Parent): Promise<void> {
  const first = parent.id()
  return new Promise(resolve => {
    const stop = parent.often(() => {
      if (parent.id() === first) return
      stop()
      resolve()
    })
  })
}
