/**
 * A tool's JSON Schema (2020-12), compiled once at start.
 *
 * Guarantees: judging is one synchronous call whose work is bounded by the arguments times the schema, whatever the
 * arguments say; it never throws; numbers are compared exactly, because arguments hold only numbers that a double holds as
 * written (RFC 7493) and `multipleOf`, `const`, `enum` and `uniqueItems` go by decimals and canonical JSON. Nothing is
 * fetched, no default is filled in, no type is coerced.
 */
import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js'
import { isMultiple, readDecimal } from '../../core/decimal.ts'
import { canonicalJson } from '../../core/jcs.ts'
import { isRecord, isScalar, jsonCopy } from './json-value.ts'
import { linearPattern } from './linear-pattern.ts'
import type { NamedKeys } from './look-alike-keys.ts'
import { ajvPackage } from './packages.ts'
import { SchemaProblem, walkSchema } from './schema-walk.ts'

export interface ArgumentSchema {
  /** As given, for the policy digest. */
  readonly json: Readonly<Record<string, unknown>>
  /** The pointer of the keyword that the arguments break; `undefined` when they keep to all of them. */
  broken(value: unknown): string | undefined
}

/** Throws a `SchemaProblem`. Adds the keys that the schema names to `named`. */
export function compileSchema(given: unknown, named: NamedKeys): ArgumentSchema {
  const json = copyOf(given)
  try {
    walkSchema(json, named)
  } catch (error) {
    throw error instanceof SchemaProblem ? error : new SchemaProblem('', reasonOf(error))
  }
  const compiler = theAjv()
  let validate: ValidateFunction
  try {
    if (compiler.validateSchema(json) !== true) {
      const { instancePath = '', keyword = 'schema' } = compiler.errors?.[0] ?? {}
      throw new SchemaProblem(instancePath, `not a JSON Schema of 2020-12 (${keyword})`)
    }
    validate = compiler.compile(json)
  } catch (error) {
    if (error instanceof SchemaProblem) throw error
    throw new SchemaProblem('', reasonOf(error))
  }
  return {
    json,
    broken: value => {
      try {
        if (validate(value) === true) return undefined
        return validate.errors?.[0]?.schemaPath ?? '#'
      } catch {
        // The machine itself failed: no verdict, so no approval.
        return '#'
      }
    },
  }
}

function reasonOf(error: unknown): string {
  // Each level, and each member of one object, is a frame of the compiler's.
  if (error instanceof RangeError) return 'it is too deep, or names too many members of one object; make it smaller'
  return error instanceof Error ? error.message.replace(/\s+/g, ' ').slice(0, 200) : 'not usable'
}

function copyOf(given: unknown): Readonly<Record<string, unknown>> {
  let json: unknown
  try {
    json = jsonCopy(given)
  } catch {
    json = undefined
  }
  if (isRecord(json)) return json
  throw new SchemaProblem('', 'expected a JSON Schema object')
}

let ajv: Ajv2020 | undefined

/** One for all schemas: it holds no schema of anybody's, and making one takes longer than compiling a schema. */
function theAjv(): Ajv2020 {
  if (ajv !== undefined) return ajv
  const { Ajv2020: Compiler } = ajvPackage()
  const made = new Compiler({
    strict: true,
    // `anyOf: [{ required: ['a'] }, { required: ['b'] }]` is good style; `type: ['string', 'null']` is what strict tools declare.
    strictRequired: false,
    allowUnionTypes: true,
    validateFormats: false,
    ownProperties: true,
    addUsedSchema: false,
    messages: false,
    logger: false,
    code: { regExp: Object.assign(pattern, { code: 'linearPattern' }) },
  })
  for (const keyword of ['multipleOf', 'const', 'enum', 'uniqueItems']) made.removeKeyword(keyword)
  made.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    compile: (step: number) => {
      const of = readDecimal(String(step))
      return (value: number) => {
        const number = readDecimal(String(value))
        return of !== undefined && number !== undefined && isMultiple(number, of)
      }
    },
  })
  made.addKeyword({
    keyword: 'const',
    compile: (value: unknown) => isOneOf([value]),
  })
  made.addKeyword({
    keyword: 'enum',
    schemaType: 'array',
    compile: (values: readonly unknown[]) => isOneOf(values),
  })
  made.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    compile: (wanted: boolean) => (data: readonly unknown[]) => !wanted || areUnique(data),
  })
  ajv = made
  return made
}

/** Branches of a `oneOf` ask the same value again and again: one that cannot be equal is not written out, any other once. */
function isOneOf(values: readonly unknown[]): (data: unknown) => boolean {
  const plain = new Set<unknown>(values.filter(isScalar))
  const texts = new Set(values.filter(value => !isScalar(value)).map(canonicalJson))
  return data => (isScalar(data) ? plain.has(data) : texts.size > 0 && texts.has(canonicalOnce(data)))
}

/** By the value itself, which nobody changes while it is judged. */
const written = new WeakMap<object, string>()

function canonicalOnce(data: unknown): string {
  if (typeof data !== 'object' || data === null) return canonicalJson(data)
  const text = written.get(data) ?? canonicalJson(data)
  written.set(data, text)
  return text
}

const unique = new WeakMap<readonly unknown[], boolean>()

function areUnique(data: readonly unknown[]): boolean {
  const known = unique.get(data) ?? new Set(data.map(canonicalOnce)).size === data.length
  unique.set(data, known)
  return known
}

/** Ajv keeps compiled patterns by what `toString` says: it has to say the pattern. */
function pattern(source: string): { test(text: string): boolean; toString(): string } {
  const compiled = linearPattern(source)
  return { test: compiled.found, toString: () => `/${source}/` }
}
