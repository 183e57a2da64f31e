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
    '/v1/audio/speech',
    '__proto__',
    '',
  ])('%j is not', path => {
    expect(table.find('POST', path)).toBeUndefined()
    expect(table.methods(path)).toEqual([])
  })

  it('refuses two dialects for one route', () => {
    expect(() => routeTable([...DIALECTS, chatDialect])).toThrow(/two dialects/)
  })

  it.each([
    ['GET', '/v1/models', '/models'],
    ['POST', '/v1/completions', '/completions'],
    ['POST', '/v1/embeddings', '/embeddings'],
    ['POST', '/v1/moderations', '/moderations'],
  ])('%s %s is served by that method alone', (method, path, upstreamPath) => {
    for (const at of [path, `${path}/`]) {
      expect(table.find(method, at)?.route.upstreamPath).toBe(upstreamPath)
      expect(table.methods(at)).toEqual([method])
    }
  })

  it.each(DIALECTS.map(d => [d.name, d] as const))(
    '%s lists its carriers once, text where it answers',
    (_, dialect) => {
      const names = dialect.carriers.map(carrier => carrier.name)
      expect(new Set(names).size).toBe(names.length)
      expect(dialect.carriers.every(carrier => carrier.modes.length > 0)).toBe(true)
      expect(dialect.carriers.some(carrier => carrier.kind === 'text')).toBe(true)
    },
  )

  it('a surface whose model proposes calls has carriers for them', () => {
    const withCalls = DIALECTS.filter(d => d.carriers.some(carrier => carrier.kind === 'call'))
    expect(withCalls.map(d => d.name)).toEqual(['chat', 'responses', 'messages'])
  })

  it.each([
    ['/v1/completions', '{"model":"m","prompt":[9906,1917]}', '/prompt'],
    ['/v1/embeddings', '{"model":"m","input":[[9906],[1917]]}', '/input/0'],
  ])('%s leaves it to the gate to refuse token input', (path, body, pointer) => {
    const view = table.find('POST', path)?.dialect.readRequest(new TextEncoder().encode(body))
    expect(view).toMatchObject({ opaqueInputs: expect.arrayContaining([pointer]) })
  })
})
