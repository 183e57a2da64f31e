/** The program itself, in a process of its own: its streams, its signals, and what starts it. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { newFolder, signet } from './testing/command.test-support.ts'

const DEV = ['--upstream', 'demo', '--dev']

const ask = (url: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] }),
  })

describe('the program', () => {
  const BIN = fileURLToPath(new URL('./bin.ts', import.meta.url))

  function start(args: readonly string[], folder: string) {
    const child = spawn(process.execPath, args, { cwd: folder, env: { PATH: process.env['PATH'] ?? '' } })
    const written = { out: '', error: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (written.out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (written.error += text))
    const ended = new Promise<number | null>(resolve => child.on('close', resolve))
    return { child, written, ended }
  }

  it('runs pipeline.ts of the folder, ends on SIGTERM, and leaves a log that verifies', async () => {
    const folder = newFolder()
    await signet(['init'], { folder })
    const { child, written, ended } = start([BIN, 'serve', '--upstream', 'demo', '--dev', '--port', '0'], folder)
    const url = await new Promise<string>(resolve => {
      child.stdout.on('data', () => {
        const found = /listening on (http:\S+)\)/.exec(written.out)?.[1]
        if (found !== undefined) resolve(found)
      })
    })
    expect((await ask(url)).status).toBe(403)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(written.error).toBe('')
    expect(written.out).toContain('pipeline: pipeline.ts (this file is code and was run)')
    expect(written.out).toMatch(/stopped\n$/)
    expect(await signet(['audit', 'verify'], { folder })).toMatchObject({ code: 0 })
  })

  it('ends, as on SIGTERM, when npm and the shell that it runs scripts in are gone', async () => {
    const folder = newFolder()
    await signet(['init'], { folder })
    // What npx does: a shell of its own, which no signal gets past. `: ` keeps the shell from becoming the program.
    const command = `"${process.execPath}" "${BIN}" serve --upstream demo --dev --port 0 --control-port 0; :`
    const shell = spawn('/bin/sh', ['-c', command], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', npm_lifecycle_script: "'signet'" },
    })
    let out = ''
    const listening = new Promise<void>(resolve =>
      shell.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text
        if (out.includes('scope_drift')) resolve()
      }),
    )
    // `close` comes once nobody holds the pipes any more: the gate has ended.
    const ended = new Promise(resolve => shell.on('close', resolve))
    await listening
    shell.kill('SIGKILL')
    await ended
    expect(out).toContain('npm, which started this, is gone: letting running exchanges end')
    expect(out).toMatch(/stopped\n$/)
    expect(await signet(['audit', 'verify'], { folder })).toMatchObject({ code: 0 })
  })

  it('ends when it cannot listen', async () => {
    const other = createServer()
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { written, ended } = start([BIN, 'serve', ...DEV, '--port', String(port), '--control-port', '0'], newFolder())
    expect(await ended).toBe(2)
    expect(written.error).toMatch(/^Error: port \d+ on 127\.0\.0\.1 is taken; .*\n$/)
    other.close()
  })

  it('knows callers by the API keys of pipeline.ts, and tells in lint what is wrong with them', async () => {
    const folder = newFolder()
    await signet(['init'], { folder })
    const made = await signet(['keys', 'generate', '--kind', 'api', '--out', 'caller.key'], { folder })
    const { hash } = JSON.parse(made.out) as { hash: string }
    const pipeline = readFileSync(join(folder, 'pipeline.ts'), 'utf8')
    const withKeys = (text: string): void =>
      writeFileSync(
        join(folder, 'pipeline.ts'),
        pipeline.replace(
          /\n\}\)\n$/,
          `\n  identity: { apiKey: { keys: [{ hash: '${text}', owner: 'agent:crawler-7' }] } },\n})\n`,
        ),
      )
    withKeys('sgk_the-key-itself')
    const lint = start([BIN, 'lint'], folder)
    expect(await lint.ended).toBe(1)
    expect(lint.written.out).toContain('identity.apiKey.keys[0].hash: expected sha256:')
    expect(lint.written.out).not.toContain('sgk_')

    withKeys(hash)
    const { child, written, ended } = start([BIN, 'serve', '--upstream', 'demo', '--port', '0'], folder)
    const url = await new Promise<string>((resolve, reject) => {
      child.on('close', () => reject(new Error(written.error)))
      child.stdout.on('data', () => {
        const found = /listening on (http:\S+)\)/.exec(written.out)?.[1]
        if (found !== undefined) resolve(found)
      })
    })
    expect((await ask(url, { 'x-commit-owner': 'human:alice' })).status).toBe(401)
    const key = readFileSync(join(folder, 'caller.key'), 'utf8').trim()
    expect((await ask(url, { authorization: `Bearer ${key}` })).status).toBe(200)
    expect((await ask(url, { 'x-api-key': key })).status).toBe(200)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  it('says on an old Node that it is too old, and nothing else', async () => {
    const preload = join(newFolder(), 'old.cjs')
    writeFileSync(
      preload,
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } })",
    )
    const { written, ended } = start(['--require', preload, BIN, '--version'], newFolder())
    expect(await ended).toBe(2)
    expect(written.out).toBe('')
    expect(written.error).toMatch(/^Error: signet needs Node\.js 24 or later[^\n]*\n$/)
  })

  it('serves on, and stops in order, when nobody reads what it prints', async () => {
    const folder = newFolder()
    const free = createServer()
    await new Promise<void>(resolve => free.listen(0, '127.0.0.1', resolve))
    const address = free.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise(resolve => free.close(resolve))
    const args = [BIN, 'serve', ...DEV, '--port', String(port), '--control-port', '0', '--access-log', '-']
    const { child, ended } = start(args, folder)
    child.stdout.destroy()
    child.stderr.destroy()
    const url = `http://127.0.0.1:${port}`
    const serves = async () => {
      for (;;) {
        const answer = await fetch(`${url}/healthz`).catch(() => undefined)
        if (answer?.ok) return 'serves'
        await setTimeout(20)
      }
    }
    expect(await Promise.race([serves(), ended])).toBe('serves')
    for (let i = 0; i < 3; i++) expect((await ask(url)).status).toBe(403)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    const verified = await signet(['audit', 'verify'], { folder })
    expect(verified).toMatchObject({ code: 0 })
    // What it does last: every row is under a checkpoint.
    expect(verified.out).not.toContain('newer')
  })

  it('a reader that goes away is no error', async () => {
    const folder = newFolder()
    const { child, written, ended } = start([BIN, '--help'], folder)
    child.stdout.destroy()
    expect(await ended).toBe(0)
    expect(written.error).toBe('')
  })
})
