/** The house as drawn: imports only go down, nothing goes round in a circle, browser rooms need no Node. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const SRC = join(ROOT, 'src')

/** Low to high. Rooms of one level do not import each other, but for the pairs below. */
const LEVELS: readonly (readonly string[])[] = [
  ['text'],
  ['core'],
  ['dialects', 'checks', 'policy', 'keys', 'state', 'jws'],
  ['pipeline'],
  ['audit', 'receipt', 'capability', 'escalation', 'identity', 'upstream'],
  ['plugins', 'clients'],
  ['notify'],
  ['config', 'telemetry'],
  ['gate', 'control', 'console', 'workers'],
  ['cli'],
]

/** Types of `core/check.ts` name the scan; the scan names nothing of core. */
const ALLOWED_SIDEWAYS: ReadonlySet<string> = new Set([])

interface Import {
  readonly from: string
  readonly to: string
  readonly spec: string
  readonly typeOnly: boolean
}

function sources(dir: string): string[] {
  return readdirSync(dir).flatMap(name => {
    const path = join(dir, name)
    if (statSync(path).isDirectory()) return name === 'testdata' ? [] : sources(path)
    return /\.tsx?$/.test(name) && !/\.(test|test-support|d)\.ts$/.test(name) ? [path] : []
  })
}

const IMPORT = /^\s*(import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  const found: Import[] = []
  for (const m of text.matchAll(IMPORT)) {
    const spec = m[3] ?? ''
    found.push({ from: file, to: resolve(dirname(file), spec), spec, typeOnly: m[2] !== undefined })
  }
  for (const m of text.matchAll(DYNAMIC)) {
    const spec = m[1] ?? ''
    found.push({ from: file, to: resolve(dirname(file), spec), spec, typeOnly: false })
  }
  return found
}

const files = sources(SRC)
const all = files.flatMap(importsOf)
const roomOf = (path: string) => relative(SRC, path).split('/')[0] ?? ''
const levelOf = (room: string) => LEVELS.findIndex(level => level.includes(room))

describe('rooms', () => {
  it('finds the sources and their imports', () => {
    expect(files.length).toBeGreaterThan(50)
    expect(all.length).toBeGreaterThan(100)
  })

  it('every folder is a known room', () => {
    const rooms = new Set(files.map(roomOf).filter(r => !r.endsWith('.ts')))
    expect([...rooms].filter(r => levelOf(r) < 0)).toEqual([])
  })

  it('imports go down only', () => {
    const wrong = all.flatMap(i => {
      if (!i.spec.startsWith('.')) return []
      const from = roomOf(i.from)
      const to = roomOf(i.to)
      if (from === to || from.endsWith('.ts')) return []
      const up = levelOf(to) > levelOf(from)
      const sideways = levelOf(to) === levelOf(from) && !ALLOWED_SIDEWAYS.has(`${from}>${to}`)
      return up || sideways ? [`${relative(SRC, i.from)} imports ${relative(SRC, i.to)}`] : []
    })
    expect(wrong).toEqual([])
  })

  it('no file imports itself by a detour, types inside core excepted', () => {
    const graph = new Map<string, string[]>()
    for (const i of all) {
      if (!i.spec.startsWith('.')) continue
      if (i.typeOnly && roomOf(i.from) === 'core' && roomOf(i.to) === 'core') continue
      graph.set(i.from, [...(graph.get(i.from) ?? []), i.to])
    }
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].map(f => relative(SRC, f)).join(' > '))
        return
      }
      if (done.has(file)) return
      for (const next of graph.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of graph.keys()) visit(file, [])
    expect(cycles).toEqual([])
  })

  it('relative imports name their file', () => {
    expect(
      all
        .filter(i => i.spec.startsWith('.') && !/\.(tsx?|svg)$/.test(i.spec))
        .map(i => `${relative(SRC, i.from)}: ${i.spec}`),
    ).toEqual([])
  })

  it('what browsers import needs no node: module', () => {
    const seen = new Set<string>()
    const node: string[] = []
    const visit = (file: string): void => {
      if (seen.has(file)) return
      seen.add(file)
      for (const i of importsOf(file)) {
        if (i.typeOnly) continue
        if (i.spec.startsWith('node:')) node.push(`${relative(SRC, file)}: ${i.spec}`)
        if (i.spec.startsWith('.')) visit(i.to)
      }
    }
    const wrappers = ['openai', 'anthropic', 'langchain', 'ai'].map(name => `clients/${name}.ts`)
    const verifiers = ['console/main.tsx', 'receipt/index.ts', 'audit/log/index.ts', 'capability/index.ts']
    for (const entry of [...verifiers, 'text/scan.ts', 'text/fold.ts', ...wrappers]) visit(join(SRC, entry))
    expect(node).toEqual([])
  })
})

describe('the lock file', () => {
  it('names no registry host', () => {
    const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
    expect(lock).not.toMatch(/"resolved"/)
    expect(lock).not.toMatch(/https?:\/\/registry/)
  })
})
