/** Values of a JSON Schema, as far as the API's description uses it, and requests made of them: sound ones, and broken ones. */
import fc from 'fast-check'

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly string[]
  readonly format?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly schema: Schema
}

export interface Operation {
  readonly method: string
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly body: Schema | undefined
}

/** `known`: values of members and parameters that mean something here, by name. */
export function valueFor(schema: Schema, known: Known, name = ''): fc.Arbitrary<unknown> {
  const real = known.values[name]
  const free = freely(schema, known)
  return real === undefined || real.length === 0
    ? free
    : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...real) }, free)
}

export interface Known {
  readonly schemas: Readonly<Record<string, Schema>>
  readonly values: Readonly<Record<string, readonly unknown[]>>
}

function freely(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return freely(known.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {}, known)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  switch (schema.type) {
    case 'string':
      if (schema.format === 'uuid') return fc.uuid()
      if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern))
      return fc.string({
        minLength: schema.minLength ?? 0,
        maxLength: Math.min(schema.maxLength ?? 40, 1200),
        unit: 'grapheme',
      })
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -10, max: schema.maximum ?? 10 })
    case 'boolean':
      return fc.boolean()
    case 'array':
      return fc.array(freely(schema.items ?? {}, known), { maxLength: 4 })
    case 'object': {
      const members = Object.entries(schema.properties ?? {})
      // An operation that is asked for nothing takes nothing: that has to be drawn too.
      if (members.length === 0) return fc.oneof(fc.constant({}), fc.object({ maxDepth: 2 }))
      const required = new Set(schema.required ?? [])
      return fc
        .tuple(...members.map(([name, of]) => fc.tuple(fc.constant(name), fc.boolean(), valueFor(of, known, name))))
        .map(made =>
          Object.fromEntries(made.filter(([name, kept]) => kept || required.has(name)).map(([n, , v]) => [n, v])),
        )
    }
    default:
      return fc.jsonValue()
  }
}

export interface Sent {
  readonly method: string
  /** Raw: what stands in the request line. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
}

/** A request for this operation, as its description has it. */
export function soundRequest(o: Operation, known: Known): fc.Arbitrary<Sent> {
  const inPath = o.parameters.filter(p => p.in === 'path')
  const inQuery = o.parameters.filter(p => p.in === 'query')
  const part = (p: Parameter) => fc.tuple(fc.constant(p.name), valueFor(p.schema, known, p.name))
  return fc
    .record({
      path: fc.tuple(...inPath.map(part)),
      query: fc.subarray(inQuery).chain(chosen => fc.tuple(...chosen.map(part))),
      body: o.body === undefined ? fc.constant(undefined) : valueFor(o.body, known),
    })
    .map(({ path, query, body }) => {
      let target = o.path
      for (const [name, value] of path) target = target.replace(`{${name}}`, encodeURIComponent(String(value)))
      const search = new URLSearchParams()
      for (const [name, value] of query)
        for (const each of Array.isArray(value) ? value : [value]) search.append(name, String(each).toWellFormed())
      return {
        method: o.method,
        target: search.size === 0 ? target : `${target}?${search}`,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
        body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
      }
    })
}

const WORDS = ['__proto__', 'constructor', 'toString', 'principal', 'approver', 'digest', 'reason', 'extra']
const ODD = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e308,
    '',
    ' ',
    '\u0000',
    '\u202e',
    '\ud800',
    [],
    {},
    [[]],
    'x'.repeat(5_000),
  ),
  fc.jsonValue(),
)

/** The same with one thing wrong, or with several. */
export function broken(sound: fc.Arbitrary<Sent>): fc.Arbitrary<Sent> {
  const change = fc.oneof<fc.Arbitrary<(s: Sent) => Sent>[]>(
    // Members: dropped, added, of another type.
    fc.nat(5).map(n => (s: Sent) => edited(s, o => delete o[Object.keys(o)[n % (Object.keys(o).length || 1)] ?? ''])),
    fc.tuple(fc.constantFrom(...WORDS), ODD).map(
      ([name, value]) =>
        (s: Sent) =>
          edited(s, o => define(o, name, value)),
    ),
    fc.tuple(fc.nat(5), ODD).map(
      ([n, value]) =>
        (s: Sent) =>
          edited(s, o => define(o, Object.keys(o)[n % (Object.keys(o).length || 1)] ?? 'x', value)),
    ),
    // Bodies that are none.
    fc.uint8Array({ maxLength: 60 }).map(body => (s: Sent) => ({ ...s, body })),
    fc
      .constantFrom(
        '',
        '{',
        '[]',
        'null',
        '1',
        '{"a":1,"a":2}',
        '\ufeff{}',
        '['.repeat(2_000),
        `{"digest":"${'x'.repeat(70_000)}"}`,
      )
      .map(text => (s: Sent) => ({ ...s, body: Buffer.from(text) })),
    // Headers.
    fc
      .constantFrom(
        'text/plain',
        'application/xml',
        'application/json; charset=utf-16',
        'multipart/form-data; boundary=x',
      )
      .map(type => (s: Sent) => ({ ...s, headers: { ...s.headers, 'content-type': type } })),
    fc.constantFrom('gzip', 'br').map(c => (s: Sent) => ({ ...s, headers: { ...s.headers, 'content-encoding': c } })),
    fc
      .constantFrom('https://evil.example', 'null', 'http://127.0.0.1')
      .map(o => (s: Sent) => ({ ...s, headers: { ...s.headers, origin: o } })),
    fc
      .constantFrom('evil.example', 'localhost.evil.example')
      .map(host => (s: Sent) => ({ ...s, headers: { ...s.headers, host } })),
    // Methods and paths.
    fc
      .constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS')
      .map(method => (s: Sent) => ({ ...s, method })),
    fc
      .constantFrom<(t: string) => string>(
        t => `${t}/`,
        t => `/${t}`,
        t => t.replace('/api', '/./api'),
        t => t.replace('/api/v1', '/api/v1/../v1'),
        t => t.replaceAll('/', '%2f').replace('%2f', '/'),
        t => t.replace('/api', '/%61pi'),
        t => t.toUpperCase(),
        t => `${t}%00`,
        t => `${t}%0d%0aX-Evil:%201`,
        t => `${t};a=b`,
        t => `${t}/approve`,
        t => `http://evil.example${t}`,
        t => `${t}?${'a=b&'.repeat(500)}`,
        t => `${t}?limit=%FF&state=%00`,
        t => t.replace(/[0-9a-f]{8}-/, '../'),
      )
      .map(trick => (s: Sent) => ({ ...s, target: trick(s.target) })),
  )
  return fc
    .tuple(sound, fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([s, changes]) => changes.reduce((at, f) => f(at), s))
}

function edited(s: Sent, edit: (members: Record<string, unknown>) => unknown): Sent {
  let members: unknown
  try {
    members = JSON.parse(Buffer.from(s.body ?? []).toString())
  } catch {
    return s
  }
  if (typeof members !== 'object' || members === null || Array.isArray(members)) return s
  const copy: Record<string, unknown> = { ...members }
  edit(copy)
  return { ...s, body: Buffer.from(JSON.stringify(copy)) }
}

function define(members: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(members, name, { value, enumerable: true, configurable: true, writable: true })
}
