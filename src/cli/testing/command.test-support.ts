/** Commands run as the launcher runs them, in folders of their own. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect } from 'vitest'
import { run } from '../main.ts'

const execute = promisify(execFile)
const root = mkdtempSync(join(tmpdir(), 'signet-cli-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
export function newFolder(): string {
  return mkdtempSync(join(root, `${folders++}-`))
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

export async function signet(
  args: readonly string[],
  more: { folder?: string; environment?: Record<string, string>; input?: string } = {},
): Promise<Ran> {
  let out = ''
  let error = ''
  const code = await run(args, {
    out: { write: (text: string) => (out += text) },
    error: { write: (text: string) => (error += text) },
    environment: more.environment ?? {},
    folder: more.folder ?? root,
    now: () => Date.UTC(2026, 0, 2),
    input: async () => Buffer.from(more.input ?? ''),
    asked: async () => 'SIGTERM',
  })
  return { code, out, error }
}

export const SECRET = '0123456789abcdef'.repeat(4)

/**
 * The same in a Node of its own, for what loads TypeScript at run time: the test runner would compile it in Node's place. All
 * commands of the list run in one process.
 */
export async function signetInNode(commands: readonly (readonly string[])[], folder: string): Promise<readonly Ran[]> {
  const script = `
    const { run } = await import(${JSON.stringify(new URL('../main.ts', import.meta.url).href)})
    const results = []
    for (const args of ${JSON.stringify(commands)}) {
      let out = '', error = ''
      const code = await run(args, {
        out: { write: text => (out += text) }, error: { write: text => (error += text) }, environment: {},
        folder: process.cwd(), now: Date.now, input: async () => Buffer.alloc(0), asked: async () => 'SIGTERM',
      })
      results.push({ code, out, error })
    }
    process.stdout.write(JSON.stringify(results))`
  const { stdout, stderr } = await execute(process.execPath, ['--input-type=module', '-e', script], { cwd: folder })
  expect(stderr).toBe('')
  return JSON.parse(stdout) as readonly Ran[]
}
