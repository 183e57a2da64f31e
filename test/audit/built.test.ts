/** The built program: its threads find their code in `dist`, and a served log rolls, packs, is indexed and verifies. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
let folder: string
beforeAll(() => {
  if (!existsSync(PROGRAM)) throw new Error('dist is missing: npm run build')
  folder = mkdtempSync(join(tmpdir(), 'signet-built-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function signet(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', chunk => (out += String(chunk)))
  await once(child, 'close')
  return out
}

it('rolls and packs in a thread, keeps the index in another, seals, and verifies over all cores', async () => {
  const child = spawn(process.execPath, [PROGRAM, 'serve', '--upstream', 'demo', '--dev', '--port', '0'], {
    cwd: folder,
    env: {
      ...process.env,
      SIGNET_AUDIT_SEGMENT_BYTES: '4000',
      SIGNET_AUDIT_INDEX: '1',
      SIGNET_AUDIT_SEALING: '1',
      SIGNET_CONTROL_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said: string[] = []
  const url = await new Promise<string>(resolve => {
    const hear = (line: string) => {
      said.push(line)
      const found = /listening on (http:\S+?)\)/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    }
    createInterface({ input: child.stdout }).on('line', hear)
    createInterface({ input: child.stderr }).on('line', hear)
  })
  const ask = async () => {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] }),
    })
    await answer.text()
    return answer.status
  }
  for (let i = 0; i < 8; i++) expect(await ask()).toBe(200)
  const packed = () => readdirSync(folder).filter(name => name.endsWith('.zst')).length
  while (packed() < 3) await new Promise(resolve => setTimeout(resolve, 20))
  expect(await signet('audit', 'erase', '--owner', 'human:alice@example.com')).toContain('a row says so')
  child.kill('SIGTERM')
  await once(child, 'close')
  expect(said.filter(line => /could not|no longer|Warning/.test(line))).toEqual([])
  const report = JSON.parse(await signet('audit', 'verify', '--json'))
  expect(report).toMatchObject({ ok: true, total_entries: 17 })
  expect(report.sections.segments.details.segments).toBeGreaterThanOrEqual(3)
  expect(report.sections.tree.status).toBe('not_checked')
  const key = (await signet('log', 'key')).trim()
  const whole = JSON.parse(await signet('audit', 'verify', '--json', '--log-key', key))
  expect(whole.ok).toBe(true)
  expect(whole.sections.tree).toMatchObject({ status: 'sound', details: { entries: 17, rows: 17 } })
  expect(whole.sections.checkpoints.status).toBe('sound')
  expect(existsSync(join(folder, 'audit.jsonl.index'))).toBe(true)
  const counted = JSON.parse(await signet('audit', 'count', '--by', 'owner', '--json'))
  expect(counted.total).toBe(17)
  expect(Object.keys(counted.counts).some(owner => owner.startsWith('[erased] '))).toBe(true)
  // Segments that are elsewhere: the report is made all the same, and does not call a tree sound that was not compared.
  const away = readdirSync(folder).filter(name => name.endsWith('.zst'))
  for (const name of away) renameSync(join(folder, name), join(folder, `${name}.away`))
  const partly = JSON.parse(await signet('audit', 'verify', '--json', '--missing-ok', '--log-key', key))
  expect(partly.ok).toBe(true)
  expect(partly.sections.tree).toMatchObject({ status: 'not_checked', text: expect.stringContaining('is needed') })
  expect(partly.sections.checkpoints.status).toBe('not_checked')
  const missing = JSON.parse(await signet('audit', 'verify', '--json', '--log-key', key))
  expect(missing.ok).toBe(false)
  expect(missing.breaks.every((b: { kind: string }) => b.kind === 'segment_missing')).toBe(true)
}, 60_000)
