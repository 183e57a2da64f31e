/**
 * What this process asks of Node: compiled code kept between starts, and a small heap while it serves. Neither changes
 * what the program does, and both give way to what the operator has chosen.
 */
import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

/**
 * Call before anything else is imported. The folder is the user's own, never Node's default below the shared temporary
 * one: what lies there is code that will be run. Where it cannot be written Node silently does without.
 */
export function keepCompiledCode(): void {
  if (process.env['NODE_COMPILE_CACHE'] !== undefined) return
  const named = process.env['XDG_CACHE_HOME']
  const caches = named !== undefined && isAbsolute(named) ? named : join(homedir(), '.cache')
  enableCompileCache(join(caches, 'signet', 'compiled'))
}

/**
 * A gate's live data is small and its garbage short-lived, yet by default V8 lets the young generation grow past 100 MB
 * and the old one to several times its size before either is collected. The young one stays as large as start-up has
 * made it, the old one may grow by half.
 */
const SMALL_HEAP = ['--semi-space-growth-factor=1', '--heap-growing-percent=50'] as const

/** Call when everything is loaded: V8 refuses compiled code, Node's own included, that was kept under other flags. */
export function keepHeapSmall(): void {
  flushCompileCache()
  const chosen = `${process.env['NODE_OPTIONS'] ?? ''} ${process.execArgv.join(' ')}`
  if (/semi[-_]space|heap[-_]growing/.test(chosen)) return
  for (const flag of SMALL_HEAP) setFlagsFromString(flag)
}
