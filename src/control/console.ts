/**
 * The console's files, as the build made them: `/console/`, and a redirect from `/`. Public: they say nothing about this gate.
 *
 * Guarantees: only files that were there at the first request are given, by their exact names, each with its own type;
 * the page may load, run and connect to nothing but this origin, runs no inline script, and stands in no frame.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Answer, notFound, problem, type Route } from './listener.ts'

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "form-action 'none'",
  // Nothing here makes a page of text: no sink takes a string.
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const PAGE = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy':
    'camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)',
  'x-frame-options': 'DENY',
}

/** `folder`: what the build made. */
export function consoleRoute(folder: string): Route {
  let files: ReadonlyMap<string, Answer> | undefined
  return {
    methods: ['GET'],
    takes: path => path === '/' || path === '/console' || path.startsWith('/console/'),
    answer: async path => {
      if (path === '/' || path === '/console') {
        return { status: 302, headers: { location: '/console/', 'cache-control': 'no-store' }, body: new Uint8Array(0) }
      }
      files ??= read(folder)
      if (files.size === 0) return problem(404, 'console_not_built', { description: 'run npm run build' })
      return files.get(path === '/console/' ? 'index.html' : path.slice('/console/'.length)) ?? notFound()
    },
  }
}

function read(folder: string): ReadonlyMap<string, Answer> {
  const files = new Map<string, Answer>()
  for (const [name, path] of [...named(folder, ''), ...named(join(folder, 'assets'), 'assets/')]) {
    const type = TYPES[name.slice(name.lastIndexOf('.') + 1)]
    if (type === undefined) continue
    // Names of assets hold a hash of what is in them.
    const cache = name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
    files.set(name, {
      status: 200,
      headers: { ...PAGE, 'content-type': type, 'cache-control': cache },
      body: readFileSync(path),
    })
  }
  return files
}

function named(folder: string, prefix: string): readonly (readonly [string, string])[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => [`${prefix}${entry.name}`, join(folder, entry.name)])
  } catch {
    return []
  }
}
