/**
 * The two packages behind argument policy. They take longer to load than the rest of a start together, so they are loaded
 * when the first schema or pattern is read, and not by pipelines without any.
 */
import { createRequire } from 'node:module'

type AjvPackage = typeof import('ajv/dist/2020.js')
type Re2Package = typeof import('re2js')

const load = createRequire(import.meta.url)

export function ajvPackage(): AjvPackage {
  const loaded: unknown = load('ajv/dist/2020.js')
  if (isAjv(loaded)) return loaded
  throw new Error('the package ajv is not the one this was written for; install signet-gate again')
}

export function re2Package(): Re2Package {
  const loaded: unknown = load('re2js')
  if (isRe2(loaded)) return loaded
  throw new Error('the package re2js is not the one this was written for; install signet-gate again')
}

function isAjv(loaded: unknown): loaded is AjvPackage {
  // Its CommonJS form is the class itself, with the names beside it.
  return typeof loaded === 'function' && 'Ajv2020' in loaded && typeof loaded.Ajv2020 === 'function'
}

function isRe2(loaded: unknown): loaded is Re2Package {
  return typeof loaded === 'object' && loaded !== null && 'RE2JS' in loaded && typeof loaded.RE2JS === 'function'
}
