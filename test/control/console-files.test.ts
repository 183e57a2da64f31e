/** The console's files: exact types, a strict policy, and nothing beside them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Stand, startStand } from './stand.ts'

let s: Stand
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'signet-files-'))
  mkdirSync(join(folder, 'pages/assets'), { recursive: true })
  writeFileSync(join(folder, 'secret.js'), 'secret')
  writeFileSync(join(folder, 'pages/index.html'), '<!doctype html>')
  writeFileSync(join(folder, 'pages/assets/a-1.js'), '1')
  writeFileSync(join(folder, 'pages/assets/a-1.css'), 'a{}')
  writeFileSync(join(folder, 'pages/assets/notes.txt'), 'not one of them')
  symlinkSync(join(folder, 'secret.js'), join(folder, 'pages/assets/link.js'))
  s = await startStand({ folder: join(folder, 'pages') })
})
afterAll(async () => {
  await s.close()
  rmSync(folder, { recursive: true, force: true })
})

/** As written: `fetch` would tidy the path up. */
function raw(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const url = new URL(s.control.url)
    request({ host: url.hostname, port: url.port, path }, res => {
      res.resume()
      resolve(res.statusCode ?? 0)
    })
      .once('error', reject)
      .end()
  })
}

it.each([
  ['/console/', 'text/html; charset=utf-8', 'no-cache'],
  ['/console/assets/a-1.js', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
  ['/console/assets/a-1.css', 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
])('%s', async (path, type, cache) => {
  const res = await s.call('GET', path)
  expect(res.status).toBe(200)
  expect(res.headers.get('content-type')).toBe(type)
  expect(res.headers.get('cache-control')).toBe(cache)
  expect(res.headers.get('x-content-type-options')).toBe('nosniff')
  expect(res.headers.get('content-security-policy')).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  )
})

it('/ leads there', async () => {
  const res = await fetch(s.control.url, { redirect: 'manual' })
  expect([res.status, res.headers.get('location')]).toEqual([302, '/console/'])
})

it.each([
  '/console/../secret.js',
  '/console/%2e%2e/secret.js',
  '/console/assets/../../secret.js',
  '/console/assets/link.js',
  '/console/assets/notes.txt',
  '/console/assets/',
  '/console/assets',
  '/console/index.html/',
  '/console//index.html',
  '/console/assets/A-1.js',
])('%s is not there', async path => {
  expect(await raw(path)).toBe(404)
})
