/** What the documents say of the code and of each other: settings, links, the tests that the lessons name. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DEFAULTS, environmentName, flagName, SETTING_NAMES } from '../src/config/settings.ts'

const ROOT = resolve(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

describe('docs/configuration.md', () => {
  const table = read('docs/configuration.md').split('## Settings')[1]?.split('\n## ')[0] ?? ''
  const rows = table
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line =>
      line
        .split('|')
        .slice(1, -1)
        .map(cell => cell.trim()),
    )
  const rowOf = (name: string) => rows.find(([first]) => first === `\`${name}\``)

  /** As the table writes it; `undefined` where words may say what happens instead. */
  function written(value: unknown): string | undefined {
    if (value === undefined) return undefined
    if (Array.isArray(value)) return value.length === 0 ? '' : `\`${value.join(', ')}\``
    return typeof value === 'object' ? '' : `\`${String(value)}\``
  }

  it.each(SETTING_NAMES)('tells name, variable, flag and default of %s', name => {
    const [, variable, flags = '', fallback = ''] = rowOf(name) ?? []
    expect(variable).toBe(`\`${environmentName(name)}\``)
    const flag = flagName(name)
    expect(flags.split(', ')[0]).toBe(flag === undefined ? '' : `\`${flag}\``)
    const usual = written(Object.entries(DEFAULTS).find(([key]) => key === name)?.[1])
    if (usual === undefined) expect(fallback).not.toMatch(/^`/)
    else expect(fallback.split('; ')[0]).toBe(usual)
  })

  it('tells of no setting that does not exist, and of none twice', () => {
    expect(rows.map(([first]) => first?.replaceAll('`', '')).sort()).toEqual([...SETTING_NAMES].sort())
  })
})

describe('links', () => {
  const pages = [
    'README.md',
    ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.md'))
      .map(name => join('docs', name)),
  ]

  /** Without code, where brackets mean something else. */
  const prose = (path: string): string =>
    read(path)
      .replace(/^```.*?^```/gms, '')
      .replace(/`[^`\n]*`/g, '')

  /** As GitHub makes them of headings. */
  const anchors = (path: string): ReadonlySet<string> =>
    new Set(
      [
        ...read(path)
          .replace(/^```.*?^```/gms, '')
          .matchAll(/^#+ (.+)$/gm),
      ].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replace(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      ),
    )

  it.each(pages)('of %s lead somewhere', page => {
    const broken: string[] = []
    for (const [, link = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : relative(ROOT, resolve(ROOT, dirname(page), path))
      if (!existsSync(join(ROOT, target))) broken.push(link)
      else if (anchor !== undefined && !anchors(target).has(anchor)) broken.push(link)
    }
    expect(broken).toEqual([])
  })

  it('are found at all', () => {
    expect(pages.length).toBeGreaterThan(20)
    expect(prose('docs/README.md')).toContain('](architecture.md)')
  })
})

describe('docs/lessons.md', () => {
  const named = [...read('docs/lessons.md').matchAll(/`([\w./-]+\.test\.tsx?)` "((?:[^"\\]|\\.)*)"/g)].map(
    ([, file = '', title = '']) => ({ file, title: title.replaceAll('\\"', '"') }),
  )
  /** The file, what it takes its tables from, and the names of the files beside it. */
  function around(file: string): string {
    const imported = [...read(file).matchAll(/from '(\.[^']*\.ts)'/g)].map(([, path = '']) => join(dirname(file), path))
    const tables = imported.flatMap(path => [
      path,
      ...[...read(path).matchAll(/from '(\.[^']*\.ts)'/g)].map(([, next = '']) => join(dirname(path), next)),
    ])
    const beside = readdirSync(join(ROOT, dirname(file)), { recursive: true, encoding: 'utf8' })
    return [read(file), ...tables.map(read), ...beside].join('\n').toLowerCase()
  }

  it('finds the tests that the lessons name', () => {
    expect(named.length).toBeGreaterThan(200)
  })

  it.each([...new Set(named.map(({ file }) => file))])('names tests of %s that exist', file => {
    const source = read(file)
    const titles = named.filter(n => n.file === file).map(n => n.title)
    // Those that are made of a template and a table stand nowhere as a whole, but each of their words does.
    const made = titles.filter(title => !source.includes(title) && !source.includes(title.replaceAll("'", "\\'")))
    const text = made.length === 0 ? '' : around(file)
    const words = (title: string): readonly string[] => title.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []
    const unknown = made.filter(title => words(title).length === 0 || !words(title).every(word => text.includes(word)))
    expect(unknown).toEqual([])
  })
})

describe('docs/clients.md', () => {
  const page = read('docs/clients.md')
  const rows = (heading: string) =>
    (page.split(heading)[1]?.split('\n\n')[0] ?? '').split('\n').map(line => line.split('|').map(cell => cell.trim()))
  const suites = readdirSync(join(ROOT, 'test/clients')).filter(name => name.endsWith('.test.ts'))
  const sourceOf = (name: string) => read(join('test/clients', name))

  it('names the versions that the suites run, and every suite', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> }
    const listed = rows('| client | version | surface | suite |\n')
      .slice(1)
      .map(([, client = '', version = '', , suite = '']) => ({ client: client.replaceAll('`', ''), version, suite }))
    expect(listed.length).toBeGreaterThan(10)
    for (const { client, version, suite } of listed) {
      const files = [...suite.matchAll(/`([^`]+)`/g)].map(m => m[1] ?? '')
      for (const file of files) expect(existsSync(join(ROOT, file)), file).toBe(true)
      const run = files.map(file => /const VERSION = '([^']+)'/.exec(read(file))?.[1]).find(v => v !== undefined)
      expect(version, client).toBe(devDependencies[client] ?? run)
    }
    for (const name of suites) expect(page).toContain(name)
  })

  it('says of every client that goes through the contract what it raises', () => {
    const told = rows('| client | block | rate limit | held, `403` |')
    for (const name of suites) {
      for (const [, client] of sourceOf(name).matchAll(/^ {2}name: '([^']+)',$/gm)) {
        expect(told.map(row => row[1])).toContain(client)
      }
    }
  })
})
