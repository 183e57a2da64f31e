/**
 * Reads a text-completions request. Strict about what decides anything (prompt, model, `stream`, counts), liberal about
 * the rest: a field it does not know goes through, and its strings are segments.
 *
 * Guarantees: every string of the body is in a segment, and so is every key the dialect does not know; prompts that
 * cannot be read as text (token numbers, embeddings) are refused, or reported in `opaqueInputs` where they are allowed.
 */
import type { Fault, RequestView } from '../core/wire.ts'
import { REQUEST_INNER, REQUEST_TOP } from './completions-keys.ts'
import { MAX_COMPLETIONS } from './completions-walk.ts'
import { fault, type JsonNode, type JsonObject, member } from './json.ts'
import { pointerToken } from './json-edit.ts'
import { invalid, refuseAmbiguous, Segments } from './messages-segments.ts'
import { countOf, flagOf, modelOf, PLAIN_REQUEST, readObjectRequest } from './request-body.ts'
import { readTextOrTokens, TOKENS_REFUSED, type TokenInput } from './token-input.ts'

const MAX_N = 128
/** Prose has four characters a token. */
const CHARS_PER_TOKEN = 4
const NO_PROMPT: TokenInput = { count: 1, longest: 0, opaque: [] }

export function readCompletionsRequest(raw: Uint8Array, allowTokenInput: boolean): RequestView | Fault {
  return readObjectRequest(raw, root => {
    refuseAmbiguous(root, REQUEST_TOP, 'the request')
    const model = modelOf(root)
    const stream = flagOf(root, 'stream')
    const segments = new Segments()
    const upstreamTools: string[] = []
    const prompt = member(root, 'prompt')
    // Without a prompt the model starts a new document: there is nothing to read.
    const input =
      prompt === undefined || prompt.kind === 'null' ? NO_PROMPT : readTextOrTokens(prompt, '/prompt', 'user', segments)
    const opaque = [...input.opaque]
    const embeds = member(root, 'prompt_embeds')
    if (embeds !== undefined && embeds.kind !== 'null') opaque.push('/prompt_embeds')
    const [first] = opaque
    if (first !== undefined && !allowTokenInput) return fault('opaque_input', `\`${first}\` ${TOKENS_REFUSED}`)
    const maxOutputTokens = maxTokens(root, input)
    const n = choices(root, input)
    readMembers(root, segments, upstreamTools)
    return {
      ...PLAIN_REQUEST,
      segments: segments.list,
      upstreamTools: [...new Set(upstreamTools)],
      model,
      stream,
      n,
      ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
      ...(opaque.length === 0 ? {} : { opaqueInputs: opaque }),
      raw,
    }
  })
}

/** An echoed prompt is output too. */
function maxTokens(root: JsonObject, input: TokenInput): number | undefined {
  const limit = countOf(root, 'max_tokens', 0)
  const echoed = flagOf(root, 'echo') ? Math.ceil(input.longest / CHARS_PER_TOKEN) : 0
  return limit === undefined ? undefined : Math.min(limit + echoed, Number.MAX_SAFE_INTEGER)
}

/** Texts the model generates: `best_of` of them for each prompt of the batch, of which `n` come back. */
function choices(root: JsonObject, input: TokenInput): number {
  const n = countOf(root, 'n', 1, MAX_N) ?? 1
  const generated = Math.max(n, countOf(root, 'best_of', 1, MAX_N) ?? 1)
  if (input.count * n > MAX_COMPLETIONS) {
    invalid(`\`prompt\` and \`n\` ask for more than ${MAX_COMPLETIONS} completions in one request`)
  }
  return input.count * generated
}

function readMembers(root: JsonObject, segments: Segments, upstreamTools: string[]): void {
  for (let i = 0; i < root.keys.length; i++) {
    const key = root.keys[i]
    const value = root.values[i]
    if (key === undefined || value === undefined || key === 'prompt') continue
    const pointer = `/${pointerToken(key)}`
    const isAbsent = value.kind === 'null' || value.kind === 'false'
    switch (key) {
      // What gateways and other servers run before the model answers; the same names as on the chat surface.
      case 'web_search':
      case 'web_search_options':
      case 'search_options':
      case 'search_settings':
      case 'search_parameters':
      case 'enable_search':
        if (!isAbsent) upstreamTools.push('upstream:web_search')
        break
      case 'data_sources':
      case 'mcp_servers':
        if (!isAbsent) upstreamTools.push(`upstream:${key}`)
        break
      case 'plugins':
        if (!isAbsent) upstreamTools.push(...plugins(value))
        break
      case 'tools':
      case 'functions':
        if (!isAbsent && !(value.kind === 'array' && value.items.length === 0)) {
          invalid(`\`${key}\` has no place in a text completion; use /v1/chat/completions`)
        }
        break
    }
    segments.strings(value, key === 'suffix' ? 'user' : 'other', pointer, REQUEST_INNER)
  }
  segments.unknownKeys(root, REQUEST_TOP, 'other', '')
}

/** OpenRouter's plugins run upstream. */
function plugins(node: JsonNode): string[] {
  if (node.kind !== 'array') invalid('`/plugins` must be a list')
  return node.items.map((item, i) => {
    const id = member(item, 'id')
    // The name goes into rows and the tool registry: nothing but plain characters.
    if (id?.kind !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(id.value)) {
      invalid(`\`/plugins/${i}/id\` must be a plain name of letters, digits, \`_\`, \`.\` and \`-\``)
    }
    return `upstream:${id.value}`
  })
}
