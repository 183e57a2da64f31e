import type { ChildProcess } from 'node:child_process'

/** The first loopback address that the process writes. Rejects with what it wrote when it ends before. */
export function saidAddress(process: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const see = (chunk: unknown) => {
      said += String(chunk)
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
      if (url !== undefined) resolve(url)
    }
    process.stdout?.on('data', see)
    process.stderr?.on('data', see)
    process.on('exit', () => reject(new Error(said)))
  })
}
