/** Every surface the gate serves. A dialect that is not here has no route. */
import type { Dialect, Route } from '../core/wire.ts'
import { chatDialect } from './chat.ts'
import { createCompletionsDialect } from './completions.ts'
import { countTokensDialect } from './count-tokens.ts'
import { createEmbeddingsDialect } from './embeddings.ts'
import { messagesDialect } from './messages.ts'
import { modelsDialect } from './models.ts'
import { moderationsDialect } from './moderations.ts'
import { responsesDialect } from './responses.ts'

export const DIALECTS: readonly Dialect[] = [
  chatDialect,
  responsesDialect,
  messagesDialect,
  countTokensDialect,
  // Token lists are opaque inputs: the gate refuses them like any other, or the operator allows all of them.
  createCompletionsDialect({ allowTokenInput: true }),
  createEmbeddingsDialect({ allowTokenInput: true }),
  moderationsDialect,
  modelsDialect,
]

export interface RouteMatch {
  readonly dialect: Dialect
  readonly route: Route
}

export interface RouteTable {
  /** The raw path must match exactly: no decoding, no normalising, no case folding. */
  find(method: string, path: string): RouteMatch | undefined
  /** Methods the path takes, for 405 and its `Allow`; empty for a path no dialect serves. */
  methods(path: string): readonly string[]
}

/** Throws when two dialects claim the same method and path. */
export function routeTable(dialects: readonly Dialect[] = DIALECTS): RouteTable {
  const routes = new Map<string, Map<string, RouteMatch>>()
  for (const dialect of dialects) {
    for (const route of dialect.routes) {
      const methods = routes.get(route.path) ?? new Map<string, RouteMatch>()
      if (methods.has(route.method)) throw new Error(`two dialects serve ${route.method} ${route.path}`)
      methods.set(route.method, { dialect, route })
      routes.set(route.path, methods)
    }
  }
  return {
    find: (method, path) => routes.get(path)?.get(method),
    methods: path => [...(routes.get(path)?.keys() ?? [])],
  }
}
