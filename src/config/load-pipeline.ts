/**
 * Load a pipeline file. Loading runs it: the file is code, named by the operator. Whatever goes wrong with it comes back as one line.
 * The file's own `signet-gate` is the copy that is running, so a check is always enforced by the engine it was built against,
 * and a folder without node_modules still loads.
 */
import { readFileSync, statSync } from 'node:fs'
import { type ResolveHookSync, registerHooks } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isPipelineConfig, type PipelineConfig } from './pipeline.ts'
import { ConfigError, errorCode, oneLine } from './problem.ts'
import { refuseUntrusted } from './trusted-file.ts'

const PACKAGE = 'signet-gate'

/** `.ts` when this runs from its sources, `.js` when compiled. */
const OWN_EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

export async function loadPipeline(path: string): Promise<PipelineConfig> {
  const file = resolve(path)
  const extension = /\.([cm]?[jt]s)$/.exec(file)?.[1]
  if (extension === undefined) throw new ConfigError([`${path}: expected a .ts, .mts, .js or .mjs file`])
  if (/[/\\]node_modules[/\\]/.test(file) && extension.endsWith('ts')) {
    throw new ConfigError([`${path}: Node does not run TypeScript below node_modules; move the file into your project`])
  }
  try {
    const stat = statSync(file)
    if (!stat.isFile()) throw new ConfigError([`${path}: is not a file; give the path of a pipeline file`])
    refuseUntrusted(path, stat)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const reason =
      errorCode(error) === 'ENOENT'
        ? 'no such file; run "signet init" to write one'
        : `cannot be read (${errorCode(error)})`
    throw new ConfigError([`${path}: ${reason}`])
  }

  const url = pathToFileURL(file).href
  const hooks = registerHooks({ resolve: resolveFor(url, extension) })
  let module: unknown
  try {
    module = await import(url)
  } catch (error) {
    throw new ConfigError(explain(path, url, error))
  } finally {
    hooks.deregister()
  }
  const exported = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined
  if (isPipelineConfig(exported)) return exported
  throw new ConfigError([
    exported === undefined
      ? `${path}: has no default export; write: export default definePipeline({ checks: [ ... ] })`
      : `${path}: its default export was not made by definePipeline; write: export default definePipeline({ checks: [ ... ] })`,
  ])
}

function resolveFor(url: string, extension: string): ResolveHookSync {
  return (specifier, context, next) => {
    if (specifier === PACKAGE || specifier.startsWith(`${PACKAGE}/`))
      return { url: ownModule(specifier), shortCircuit: true }
    if (specifier === url && (extension === 'ts' || extension === 'js')) {
      // Always a module, whatever package.json stands nearby says or does not say.
      return { url, format: extension === 'ts' ? 'module-typescript' : 'module', shortCircuit: true }
    }
    return next(specifier, context)
  }
}

/** `signet-gate/checks` to this copy's file, by the package's own `exports`. */
function ownModule(specifier: string): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const key = `.${specifier.slice(PACKAGE.length)}`
  const target = exportTarget(manifest, key) ?? (key === '.' ? './dist/index.js' : undefined)
  if (target === undefined) throw new ConfigError([`the package ${PACKAGE} has no part called "${specifier}"`])
  const relative = target.replace(/^\.\/dist\//, '').replace(/\.js$/, OWN_EXTENSION)
  return new URL(`../${relative}`, import.meta.url).href
}

function exportTarget(manifest: unknown, key: string): string | undefined {
  if (typeof manifest !== 'object' || manifest === null || !('exports' in manifest)) return undefined
  let entry: unknown = manifest.exports
  for (const step of [key, 'default']) {
    if (typeof entry === 'object' && entry !== null) entry = Object.entries(entry).find(([name]) => name === step)?.[1]
  }
  return typeof entry === 'string' ? entry : undefined
}

function explain(path: string, url: string, error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems.map(problem => `${path}: ${problem}`)
  const code = errorCode(error)
  if (code === 'ERR_MODULE_NOT_FOUND')
    return [`${path}: ${withoutPlace(oneLine(error))}; install it or correct the import`]
  if (error instanceof SyntaxError) return [`${path}${lineOf(error, url, path)}: syntax error: ${oneLine(error)}`]
  const kind = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : ''
  return [`${path}${lineOf(error, url, path)}: failed while it ran: ${kind}${oneLine(error)}`]
}

/** Node's text names the importing file by its full path, which the line already begins with. */
function withoutPlace(text: string): string {
  return text.replace(/ imported from .*$/, '')
}

/** `:12` from the first place of the stack that lies in the file. */
function lineOf(error: unknown, url: string, path: string): string {
  if (!(error instanceof Error)) return ''
  let stack: unknown
  try {
    stack = error.stack
  } catch {
    return ''
  }
  if (typeof stack !== 'string') return ''
  for (const place of [url, fileURLToPath(url), path]) {
    const at = stack.indexOf(`${place}:`)
    const line = at < 0 ? undefined : /^[0-9]+/.exec(stack.slice(at + place.length + 1, at + place.length + 12))?.[0]
    if (line !== undefined) return `:${line}`
  }
  return ''
}
