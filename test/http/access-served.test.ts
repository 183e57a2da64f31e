/** The access log as operators switch it on. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, startServed } from '../support/served.ts'

describe('signet serve --access-log', () => {
  let folder = ''
  let path = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'signet-access-'))
    path = join(folder, 'access.jsonl')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const lines = () =>
    readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map(l => JSON.parse(l) as Record<string, unknown>)

  it('has a line for every request by the time the gate has ended', async () => {
    const gate = await startServed(folder, ['--access-log', path])
    const ids = []
    for (const owner of ['human:alice@example.com', undefined]) {
      const answer = await ask(gate.url, owner)
      await answer.text()
      ids.push(answer.headers.get('x-signet-correlation-id'))
    }
    expect(await gate.stop()).toBe(0)
    expect(lines().map(l => l['exchange'])).toEqual(ids)
    expect(lines()).toMatchObject([{ owner: 'human:alice@example.com', outcome: 'completed' }, { outcome: 'refused' }])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('names nobody whose rows are sealed', async () => {
    const gate = await startServed(folder, ['--access-log', path], { SIGNET_AUDIT_SEALING: '1' })
    await (await ask(gate.url, 'human:alice@example.com')).text()
    await gate.stop()
    expect(lines()).toMatchObject([{ owner: 'sealed', outcome: 'completed' }])
    expect(readFileSync(path, 'utf8')).not.toContain('alice')
  })

  it('is never the audit log, and nothing that cannot be written', async () => {
    await expect(startServed(folder, ['--access-log', join(folder, '.', 'audit.jsonl')])).rejects.toThrow(
      /accessLogPath|SIGNET_ACCESS_LOG_PATH|--access-log.*is the audit log/,
    )
    await expect(startServed(folder, ['--access-log', join(folder, 'missing', 'x')])).rejects.toThrow(
      /cannot be written .*; give the path of a regular file/,
    )
  })
})
