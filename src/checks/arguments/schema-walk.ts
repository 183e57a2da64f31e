/**
 * Reads a tool's JSON Schema (2020-12) before it is compiled, and refuses what would make its cost depend on more than the
 * size of the arguments, or what would look like a rule and be none.
 *
 * Refused: references out of the schema, references in a circle (each level of the arguments could double the work),
 * patterns that are not linear, `format` (not checked here, and a rule that is not checked is worse than none), keywords
 * nobody knows.
 */
import { isRecord } from './json-value.ts'
import { linearPattern } from './linear-pattern.ts'
import { itemsOf, memberOf, type NamedKeys } from './look-alike-keys.ts'

/** A schema that cannot be used: where, and why. */
export class SchemaProblem extends Error {
  override readonly name = 'SchemaProblem'
  /** JSON Pointer into the schema. */
  readonly path: string

  constructor(path: string, message: string) {
    super(message)
    this.path = path
  }
}

/** Keywords that hold one schema, by what they speak about: the same value, or its members. */
const ONE_SAME = ['not', 'if', 'then', 'else'] as const
const ONE_ITEM = ['items', 'contains', 'unevaluatedItems'] as const
const ONE_OTHER = ['additionalProperties', 'unevaluatedProperties', 'propertyNames'] as const
const LIST_SAME = ['allOf', 'anyOf', 'oneOf'] as const
const WITHOUT_SCHEMA = new Set(
  `$schema $ref $comment $defs definitions type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum
   maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required
   dependentRequired dependentSchemas properties patternProperties prefixItems title description default deprecated
   readOnly writeOnly examples nullable`.split(/\s+/),
)
const WITH_SCHEMA: ReadonlySet<string> = new Set([...ONE_SAME, ...ONE_ITEM, ...ONE_OTHER, ...LIST_SAME])
const DIALECT = /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/
/** Schemas met when every reference is written out: what one value can cost. */
const MOST = 10_000

export function walkSchema(root: Readonly<Record<string, unknown>>, named: NamedKeys): void {
  new Walk(root).visit(root, '', named)
}

class Walk {
  readonly #root: unknown
  readonly #following = new Set<string>()
  #met = 0

  constructor(root: unknown) {
    this.#root = root
  }

  visit(schema: unknown, path: string, named: NamedKeys | undefined): void {
    if (typeof schema === 'boolean') return
    if (!isRecord(schema)) throw new SchemaProblem(path, 'expected a schema: an object, true or false')
    this.#met += 1
    if (this.#met > MOST) {
      throw new SchemaProblem(path, `with every $ref written out it holds more than ${MOST} schemas; make it smaller`)
    }
    this.#keywords(schema, path)
    this.#patterns(schema, path)
    this.#reference(schema['$ref'], path, named)
    for (const keyword of ONE_SAME) this.#one(schema, keyword, path, named)
    for (const keyword of ONE_ITEM) this.#one(schema, keyword, path, named && itemsOf(named))
    for (const keyword of ONE_OTHER) this.#one(schema, keyword, path, undefined)
    for (const keyword of LIST_SAME) this.#list(schema[keyword], `${path}/${keyword}`, named)
    this.#list(schema['prefixItems'], `${path}/prefixItems`, named && itemsOf(named))
    if (isRecord(schema['properties']) && Object.hasOwn(schema['properties'], '__proto__')) {
      throw new SchemaProblem(
        `${path}/properties/__proto__`,
        'arguments with this key are always refused; leave it out',
      )
    }
    this.#map(schema['properties'], `${path}/properties`, key => named && memberOf(named, key))
    this.#map(schema['patternProperties'], `${path}/patternProperties`, () => undefined)
    this.#map(schema['dependentSchemas'], `${path}/dependentSchemas`, () => named)
    // Judged even when nothing refers to them: a mistake there waits for its first use.
    if (path === '')
      for (const keyword of ['$defs', 'definitions']) this.#map(schema[keyword], `/${keyword}`, () => undefined)
  }

  #keywords(schema: Readonly<Record<string, unknown>>, path: string): void {
    for (const keyword of Object.keys(schema)) {
      const at = `${path}/${token(keyword)}`
      if (keyword === 'format') {
        throw new SchemaProblem(at, 'formats are not checked; say what is meant with `pattern`, or leave it out')
      }
      if (!WITHOUT_SCHEMA.has(keyword) && !WITH_SCHEMA.has(keyword)) {
        throw new SchemaProblem(at, 'not a keyword that is understood here; leave it out')
      }
    }
    const dialect = schema['$schema']
    if (dialect !== undefined && !(typeof dialect === 'string' && DIALECT.test(dialect))) {
      throw new SchemaProblem(`${path}/$schema`, 'expected https://json-schema.org/draft/2020-12/schema, or nothing')
    }
  }

  #patterns(schema: Readonly<Record<string, unknown>>, path: string): void {
    const { pattern, patternProperties } = schema
    if (typeof pattern === 'string') check(pattern, `${path}/pattern`)
    if (isRecord(patternProperties)) {
      for (const source of Object.keys(patternProperties)) check(source, `${path}/patternProperties/${token(source)}`)
    }
  }

  #reference(ref: unknown, path: string, named: NamedKeys | undefined): void {
    if (ref === undefined) return
    const at = `${path}/$ref`
    if (typeof ref !== 'string' || !/^#(?:\/|$)/.test(ref)) {
      throw new SchemaProblem(at, 'expected a reference within this schema, such as #/$defs/amount; nothing is fetched')
    }
    if (ref === '#' || this.#following.has(ref)) {
      throw new SchemaProblem(at, 'refers to itself, so its cost has no bound; write out the levels that are needed')
    }
    const target = resolve(this.#root, ref.slice(1))
    if (target === undefined) throw new SchemaProblem(at, 'refers to nothing')
    this.#following.add(ref)
    this.visit(target, ref.slice(1), named)
    this.#following.delete(ref)
  }

  #one(schema: Readonly<Record<string, unknown>>, keyword: string, path: string, named: NamedKeys | undefined): void {
    if (schema[keyword] !== undefined) this.visit(schema[keyword], `${path}/${keyword}`, named)
  }

  #list(list: unknown, path: string, named: NamedKeys | undefined): void {
    if (list === undefined) return
    if (!Array.isArray(list)) throw new SchemaProblem(path, 'expected a list of schemas')
    for (const [index, each] of list.entries()) this.visit(each, `${path}/${index}`, named)
  }

  #map(map: unknown, path: string, namedFor: (key: string) => NamedKeys | undefined): void {
    if (map === undefined) return
    if (!isRecord(map)) throw new SchemaProblem(path, 'expected an object of schemas')
    for (const [key, each] of Object.entries(map)) this.visit(each, `${path}/${token(key)}`, namedFor(key))
  }
}

function check(source: string, path: string): void {
  try {
    linearPattern(source)
  } catch (error) {
    throw new SchemaProblem(path, error instanceof Error ? error.message : 'not usable')
  }
}

function resolve(root: unknown, pointer: string): unknown {
  let at: unknown = root
  for (const part of pointer.split('/').slice(1)) {
    let key: string
    try {
      // A JSON Pointer in a URI fragment is percent-encoded (RFC 6901 section 6).
      key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    } catch {
      return undefined
    }
    if (Array.isArray(at)) at = /^(?:0|[1-9][0-9]{0,5})$/.test(key) ? at[Number(key)] : undefined
    else if (isRecord(at) && Object.hasOwn(at, key)) at = at[key]
    else return undefined
  }
  return at
}

function token(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
