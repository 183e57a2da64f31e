/** How a command ends. 0: done, sound. 1: the thing examined failed. 2: the command itself could not be carried out (usage, configuration, I/O). */
export const DONE = 0
export const FAILED = 1
export const UNUSABLE = 2

export type ExitCode = 0 | 1 | 2

/** Printed as one line, `Error: ...`. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode

  constructor(message: string, exitCode: ExitCode = UNUSABLE) {
    super(message)
    this.exitCode = exitCode
  }
}
