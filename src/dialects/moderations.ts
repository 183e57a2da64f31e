/** The OpenAI moderations surface, `POST /v1/moderations`: text or pictures in, scores out. */
import type { Dialect, RequestView } from '../core/wire.ts'
import type { JsonNode, JsonObject } from './json.ts'
import { member } from './json.ts'
import { pointerToken } from './json-edit.ts'
import { knownKeys } from './known-keys.ts'
import { isMediaUrl } from './media.ts'
import { articled, invalid, refuseAmbiguous, Segments } from './messages-segments.ts'
import { plainForm } from './plain-answer.ts'
import { plainDialect } from './plain-dialect.ts'
import { modelOf, PLAIN_REQUEST, readObjectRequest } from './request-body.ts'

export interface ModerationsOptions {
  /** Longest answer, bytes. Default 1 MiB: the answer is a few numbers for each input. */
  readonly maxUnaryBytes?: number
}

const MAX_BYTES = 1024 * 1024

const REQUEST_TOP = knownKeys('model input user metadata')
const REQUEST_PART = knownKeys('type text image_url')
const INNER = knownKeys('url detail type text')
const PART_TYPES: ReadonlySet<string> = new Set(['text', 'image_url'])

/** OpenAI's categories, and those of Mistral's moderation models. */
const CATEGORIES = `
  harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm self-harm/instructions
  self-harm/intent sexual sexual/minors violence violence/graphic
  hate_and_discrimination violence_and_threats dangerous_and_criminal_content selfharm health financial law pii
`

const FORM = plainForm({
  top: knownKeys('id object model results usage created error provider signet signet_abort'),
  inner: knownKeys(`
    flagged categories category_scores category_applied_input_types prompt_tokens total_tokens completion_tokens
    message type param code ${CATEGORIES}
  `),
  fixed: new Set(['list', 'moderation', 'text', 'image']),
})

export function createModerationsDialect(options: ModerationsOptions = {}): Dialect {
  return plainDialect({
    name: 'moderations',
    method: 'POST',
    path: '/moderations',
    carriers: ['id', 'model', 'results[] field', 'results[] key', 'error.message', 'unknown field', 'unknown key'],
    form: FORM,
    maxUnaryBytes: options.maxUnaryBytes ?? MAX_BYTES,
    readRequest: raw => readObjectRequest(raw, root => new ModerationReading().view(root, raw)),
  })
}

export const moderationsDialect: Dialect = createModerationsDialect()

class ModerationReading {
  readonly #segments = new Segments()
  readonly #opaque: string[] = []

  view(root: JsonObject, raw: Uint8Array): RequestView {
    refuseAmbiguous(root, REQUEST_TOP, 'the request')
    const model = member(root, 'model')
    this.#input(member(root, 'input'))
    for (let i = 0; i < root.keys.length; i++) {
      const key = root.keys[i]
      const value = root.values[i]
      if (key === undefined || value === undefined || key === 'input') continue
      this.#segments.strings(value, 'other', `/${pointerToken(key)}`, INNER)
    }
    this.#segments.unknownKeys(root, REQUEST_TOP, 'other', '')
    return {
      ...PLAIN_REQUEST,
      segments: this.#segments.list,
      // Upstream has a default.
      model: model === undefined || model.kind === 'null' ? '' : modelOf(root),
      maxOutputTokens: 0,
      ...(this.#opaque.length === 0 ? {} : { opaqueInputs: this.#opaque }),
      raw,
    }
  }

  #input(node: JsonNode | undefined): void {
    if (node?.kind === 'string') {
      this.#segments.add('user', '/input', node.value)
      return
    }
    if (node?.kind !== 'array') {
      invalid(`\`input\` must be a string or a list of strings or parts, not ${articled(node?.kind ?? 'missing')}`)
    }
    for (let i = 0; i < node.items.length; i++) {
      const item = node.items[i]
      if (item?.kind === 'string') this.#segments.add('user', `/input/${i}`, item.value)
      else if (item?.kind === 'object') this.#part(item, `/input/${i}`)
      else invalid(`\`/input/${i}\` must be a string or an object, not ${articled(item?.kind ?? 'missing')}`)
    }
  }

  #part(node: JsonObject, at: string): void {
    refuseAmbiguous(node, REQUEST_PART, at)
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined) continue
      if (key === 'type' && value.kind === 'string' && PART_TYPES.has(value.value)) continue
      const pointer = `${at}/${pointerToken(key)}`
      if (key === 'image_url') this.#image(value, pointer)
      else this.#segments.strings(value, 'user', pointer, INNER)
    }
    this.#segments.unknownKeys(node, REQUEST_PART, 'user', at)
  }

  /** A picture in the request itself is no text; one that upstream would have to fetch is opaque. */
  #image(node: JsonNode, at: string): void {
    if (node.kind === 'string') this.#url(node.value, at)
    else if (node.kind === 'object') {
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key === undefined || value === undefined) continue
        const pointer = `${at}/${pointerToken(key)}`
        if (key === 'url' && value.kind === 'string') this.#url(value.value, pointer)
        else this.#segments.strings(value, 'user', pointer, INNER)
      }
      this.#segments.unknownKeys(node, INNER, 'user', at)
    } else if (node.kind !== 'null') invalid(`\`${at}\` must be an object with a \`url\``)
  }

  #url(url: string, pointer: string): void {
    if (isMediaUrl(url)) return
    if (!/^data:/i.test(url)) this.#opaque.push(pointer)
    this.#segments.add('user', pointer, url)
    this.#segments.spelled('user', pointer, url)
  }
}
