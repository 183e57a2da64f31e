import { describe, expect, it } from 'vitest'
import { chatDialect } from './chat.ts'
import { DIALECTS, routeTable } from './registry.ts'

describe('routes', () => {
  const table = routeTable()

  it.each(['/v1/chat/completions', '/v1/chat/completions/'])('%s is served', path => {
    expect(table.find('POST', path)?.dialect).toBe(chatDialect)
    expect(table.find('POST', path)?.route.upstreamPath).toBe('/chat/completions')
    expect(table.methods(path)).toEqual(['POST'])
    expect(table.find('GET', path)).toBeUndefined()
  })

  it.each([
    '/v1/Chat/completions',
    '/v1//chat/completions',
    '/v1/chat/completions//',
    '/v1/chat/%63ompletions',
    '/v1/chat/completions?x',
    '/v1/./chat/completions',
    '/chat/completions',
    '/v1/embeddings',
    '__proto__',
    '',
  ])('%j is not', path => {
    expect(table.find('POST', path)).toBeUndefined()
    expect(table.methods(path)).toEqual([])
  })

  it('refuses two dialects for one route', () => {
    expect(() => routeTable([...DIALECTS, chatDialect])).toThrow(/two dialects/)
  })

  it('every dialect lists its text and call carriers once', () => {
    for (const dialect of DIALECTS) {
      const names = dialect.carriers.map(carrier => carrier.name)
      expect(new Set(names).size).toBe(names.length)
      expect(new Set(dialect.carriers.map(carrier => carrier.kind))).toEqual(new Set(['text', 'call']))
    }
  })
})
