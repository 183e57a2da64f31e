import { execFileSync } from 'node:child_process'
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
