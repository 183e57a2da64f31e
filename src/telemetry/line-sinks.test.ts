import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openLineFile } from './line-sinks.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-lines-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a file of lines', () => {
  it('is its user’s alone, and goes on where it ended', async () => {
    const path = join(folder, 'a.jsonl')
    await (await openLineFile(path)).append(Buffer.from('1\n'))
    await (await openLineFile(path)).append(Buffer.from('2\n'))
    expect(readFileSync(path, 'utf8')).toBe('1\n2\n')
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('may be renamed away while it is written', async () => {
    const path = join(folder, 'b.jsonl')
    const sink = await openLineFile(path)
    await sink.append(Buffer.from('1\n'))
    renameSync(path, `${path}.1`)
    await sink.append(Buffer.from('2\n'))
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('1\n')
    expect(readFileSync(path, 'utf8')).toBe('2\n')
  })

  it('is no link, no folder, no pipe', async () => {
    const target = join(folder, 'target')
    writeFileSync(target, '')
    symlinkSync(target, join(folder, 'link'))
    execFileSync('mkfifo', [join(folder, 'pipe')])
    for (const name of ['link', '.', 'pipe', 'missing/file'])
      await expect(openLineFile(join(folder, name)), name).rejects.toThrow()
    expect(readFileSync(target, 'utf8')).toBe('')
  })
})

describe('standard error', () => {
  it('that nobody reads neither stops the process nor keeps it from ending', async () => {
    const program = `
      const { standardError } = await import(${JSON.stringify(new URL('line-sinks.ts', import.meta.url).href)})
      const { systemClock } = await import(${JSON.stringify(new URL('../state/system.ts', import.meta.url).href)})
      const sink = standardError(systemClock)
      const writing = sink.append(Buffer.alloc(1024 * 1024, 'x')).catch(() => console.log('gave up'))
      console.log('goes on')
      process.stdin.once('data', () => sink.close())
      process.stdin.once('end', () => writing.then(() => process.exit(0)))
    `
    const pipe = join(folder, 'stalled')
    execFileSync('mkfifo', [pipe])
    // Descriptor 3 is a reader that never reads. (What Node gives a child as a pipe is a socket.)
    const child = spawn(
      'sh',
      ['-c', 'exec 3<>"$0"; exec "$1" --input-type=module -e "$2" 2>"$0"', pipe, process.execPath, program],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    )
    const exited = once(child, 'exit')
    let said = ''
    child.stdout.on('data', (text: Buffer) => {
      said += text.toString()
      if (said === 'goes on\n') child.stdin.end('close')
    })
    expect(await exited).toEqual([0, null])
    expect(said).toBe('goes on\ngave up\n')
  })
})
