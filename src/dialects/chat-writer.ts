/**
 * Writes frames back. Without edits, and without an earlier edit that reaches forward, a frame leaves as the very bytes
 * upstream sent. Otherwise its JSON is read again, walked by the reader's own function, and spliced.
 *
 * What reaches forward: a refused call (indices of later calls, the finish reason), a redaction (log-probabilities of
 * that choice go in all later frames; a sound or signature that repeats the text cannot be redacted and throws), a
 * redacted constant (upstream repeats it in every chunk).
 * State is rebuilt from `frame.parts` alone, so a fresh writer over stored frames and edits writes the same bytes.
 */
import type { Edit, Frame, Part, Refusal, RequestView, ResponseWriter } from '../core/wire.ts'
import { readCallKey } from './chat-calls.ts'
import { EditWalk, type FrameEdits, sortEdits, type TextPart, TOKEN_TWINS } from './chat-edit-walk.ts'
import { linePointer, TWIN_AUDIO, TWIN_SIGNED } from './chat-parts.ts'
import type { AnswerForm, Container, Fragment } from './chat-visitor.ts'
import { CHAT_FORM } from './chat-walk.ts'
import { decodeUtf8, isFault, type JsonObject, member } from './json.ts'
import { editArray, editObject, encodeString, type Replacement, splice } from './json-edit.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'
import { abortFrame, noticePart, openAiRefusal, sseComment } from './refusal.ts'
import { dataReplacements, readEvent, type SseEvent } from './sse.ts'

const encoder = new TextEncoder()
const NOTHING = new Uint8Array(0)
/** Between what the model said and a notice, and between notices. */
const GAP = '\n\n'

interface ChoiceState {
  said: boolean
  saidNotice: boolean
  /** Calls delivered so far, with the index the client knows them by. */
  readonly delivered: Map<string, number | undefined>
  refused: boolean
  redactedSpoken: boolean
  redactedReasoning: boolean
  redacted: boolean
  audioTwin: boolean
  signedTwin: boolean
}

export class ChatWriter implements ResponseWriter {
  readonly #isStream: boolean
  readonly #form: AnswerForm
  readonly #choices = new Map<number, ChoiceState>()
  readonly #refused = new Set<string>()
  readonly #noticed = new Set<string>()
  readonly #capable = new Set<string>()
  /** Redacted constants: pointer and value, to replacement. */
  readonly #sticky = new Map<string, string>()
  #reachesForward = false
  #isFirst = true

  constructor(v: RequestView, form: AnswerForm = CHAT_FORM) {
    this.#isStream = v.stream
    this.#form = form
  }

  write(f: Frame, edits: readonly Edit[]): Uint8Array {
    const isFirst = this.#isFirst
    this.#isFirst = false
    let written = f.raw
    for (const part of f.parts) this.#meetTwin(part)
    if (edits.length > 0 || this.#reachesForward) written = this.#rewrite(f, edits, isFirst)
    else for (const part of f.parts) if (part.kind === 'callPiece') this.#deliver(part.key)
    for (const part of f.parts) {
      if (part.kind === 'text' && part.channel.name === 'content' && part.text !== '') {
        this.#state(part.channel.choice).said = true
      }
    }
    return written
  }

  abort(r: Refusal): Uint8Array {
    return this.#isStream ? abortFrame(r) : openAiRefusal(r).body
  }

  comment(text: string): Uint8Array {
    return this.#isStream ? sseComment(text) : NOTHING
  }

  #state(choice: number): ChoiceState {
    const known = this.#choices.get(choice)
    if (known !== undefined) return known
    const made: ChoiceState = {
      said: false,
      saidNotice: false,
      delivered: new Map(),
      refused: false,
      redactedSpoken: false,
      redactedReasoning: false,
      redacted: false,
      audioTwin: false,
      signedTwin: false,
    }
    this.#choices.set(choice, made)
    return made
  }

  #meetTwin(part: Part): void {
    if (part.kind !== 'text' || part.text !== '') return
    const state = this.#state(part.channel.choice)
    if (part.channel.key.endsWith(TWIN_AUDIO)) state.audioTwin = true
    else if (part.channel.key.endsWith(TWIN_SIGNED)) state.signedTwin = true
    refuseTwins(state)
  }

  /** The client keeps upstream's own index of a call that went out untouched. */
  #deliver(key: string): void {
    const { choice, index } = readCallKey(key)
    const { delivered } = this.#state(choice)
    if (!delivered.has(key)) delivered.set(key, index)
  }

  #rewrite(f: Frame, edits: readonly Edit[], isFirst: boolean): Uint8Array {
    const frameEdits = sortEdits(edits)
    if (frameEdits.text.size > 0 || frameEdits.refuse.size > 0) this.#reachesForward = true
    const parts = f.parts.filter((part): part is TextPart => part.kind === 'text')
    this.#noteRedactions(f, frameEdits)
    const text = decodeUtf8(f.raw)
    if (text === undefined) throw new RedactionUnwritable('the frame to edit is not UTF-8')
    const walk = new EditWalk(f, frameEdits, this.#sticky)
    const trimmed = text.trimStart()
    if (trimmed.startsWith('{') || trimmed.startsWith('[')) {
      const edited = this.#rewriteJson(text, 'message', walk, frameEdits)
      walk.requireAllPlaced(parts)
      return edited === text ? f.raw : encoder.encode(edited)
    }
    const event = readEvent(f.raw, text, isFirst)
    let replacements: Replacement[] = lineReplacements(event, walk)
    const { data } = event
    if (data !== undefined && data !== '' && data.trim() !== '[DONE]') {
      const edited = this.#rewriteJson(data, 'delta', walk, frameEdits)
      if (edited !== data) replacements = replacements.concat(dataReplacements(event, edited))
    }
    walk.requireAllPlaced(parts)
    return replacements.length === 0 ? f.raw : encoder.encode(splice(text, replacements))
  }

  #noteRedactions(f: Frame, edits: FrameEdits): void {
    for (const index of edits.text.keys()) {
      const part = f.parts[index]
      if (part?.kind !== 'text') throw new RedactionUnwritable('a text edit names a part that is not text')
      const state = this.#state(part.channel.choice)
      state.redacted = true
      if (part.channel.name === 'reasoning') state.redactedReasoning = true
      else if (part.channel.name === 'content' || part.channel.name === 'transcript') state.redactedSpoken = true
      refuseTwins(state)
    }
  }

  #rewriteJson(source: string, primary: Container, walk: EditWalk, edits: FrameEdits): string {
    const doc = this.#form.parse(source)
    if (isFault(doc)) throw new RedactionUnwritable('the frame to edit is not JSON')
    this.#form.walk(doc.root, source, primary, walk)
    const replacements: Replacement[] = []
    for (const { number, node } of walk.choices) {
      const state = this.#state(number)
      for (const message of walk.messages) {
        if (message.choice === number) replacements.push(...this.#rewriteMessage(message.node, state, walk, edits))
      }
      replacements.push(...rewriteChoice(node, state, walk))
    }
    // Last: where a node already has a replacement (content with a notice, a whole call), that one holds.
    for (const [start, { end, text }] of walk.texts) replacements.push({ start, end, text: encodeString(text) })
    return splice(source, replacements)
  }

  #rewriteMessage(message: JsonObject, state: ChoiceState, walk: EditWalk, edits: FrameEdits): Replacement[] {
    const out: Replacement[] = []
    const drop = new Set<string>()
    const set = new Map<string, string>()
    const notices: string[] = []
    const calls = member(message, 'tool_calls')
    const dropItems = new Set<number>()
    for (const { fragment, key } of walk.fragments) {
      const position = calls?.kind === 'array' ? calls.items.indexOf(fragment.node) : -1
      const isLegacy = fragment.node === member(message, 'function_call')
      if (position < 0 && !isLegacy) continue
      const notice = edits.refuse.get(key)
      if (notice !== undefined) this.#refused.add(key)
      if (this.#refused.has(key)) {
        state.refused = true
        if (isLegacy) drop.add('function_call')
        else dropItems.add(position)
        if (notice !== undefined && !this.#noticed.has(key)) {
          this.#noticed.add(key)
          notices.push(notice)
        }
      } else {
        out.push(...this.#rewriteCall(fragment, key, state, edits))
      }
    }
    if (calls?.kind === 'array' && dropItems.size > 0) {
      if (dropItems.size === calls.items.length) drop.add('tool_calls')
      else out.push(...editArray(calls, dropItems))
    }
    this.#addNotices(message, state, walk, notices, set, out)
    if (drop.size > 0 || set.size > 0) out.push(...editObject(message, drop, set))
    return out
  }

  /** Renumbers, and attaches the capability to the first fragment. */
  #rewriteCall(f: Fragment, key: string, state: ChoiceState, edits: FrameEdits): Replacement[] {
    const set = new Map<string, string>()
    if (f.index !== undefined) {
      let index = state.delivered.get(key)
      if (index === undefined) {
        index = state.refused ? nextIndex(state.delivered) : f.index
        state.delivered.set(key, index)
      }
      if (index !== f.index) set.set('index', String(index))
    } else if (!state.delivered.has(key)) {
      state.delivered.set(key, undefined)
    }
    const jws = edits.capability.get(key)
    if (jws !== undefined && !this.#capable.has(key)) {
      this.#capable.add(key)
      set.set('signet', `{"capability":${encodeString(jws)}}`)
    }
    return set.size === 0 ? [] : editObject(f.node, new Set(), set)
  }

  /** The notice is assistant text: appended to this message's content, once per refused call. */
  #addNotices(
    message: JsonObject,
    state: ChoiceState,
    walk: EditWalk,
    notices: readonly string[],
    set: Map<string, string>,
    out: Replacement[],
  ): void {
    const content = member(message, 'content')
    const text = content?.kind === 'string' ? (walk.texts.get(content.start)?.text ?? content.value) : ''
    // The model goes on after a notice: keep the two apart.
    const lead = state.saidNotice && text !== '' ? GAP : ''
    if (notices.length === 0) {
      if (lead !== '') set.set('content', encodeString(lead + text))
      if (text !== '') state.saidNotice = false
      return
    }
    const said = notices.join(GAP)
    if (content?.kind === 'array') {
      const comma = content.items.length === 0 ? '' : ','
      out.push({ start: content.end - 1, end: content.end - 1, text: comma + noticePart(said) })
    } else {
      set.set('content', encodeString(`${lead}${text}${state.said || text !== '' ? GAP : ''}${said}`))
    }
    state.said = true
    state.saidNotice = true
  }
}

function refuseTwins(state: ChoiceState): void {
  if (state.redactedSpoken && state.audioTwin) {
    throw new RedactionUnwritable('the redacted text was also sent as sound')
  }
  if (state.redactedReasoning && state.signedTwin) {
    throw new RedactionUnwritable('the redacted reasoning is signed or also sent encrypted')
  }
}

function nextIndex(delivered: ReadonlyMap<string, number | undefined>): number {
  let next = 0
  for (const index of delivered.values()) if (index !== undefined && index >= next) next = index + 1
  return next
}

/** Tokens spell the text they belong to; a finish reason must not promise calls that are gone. */
function rewriteChoice(node: JsonObject, state: ChoiceState, walk: EditWalk): Replacement[] {
  const out: Replacement[] = []
  for (const key of state.redacted ? TOKEN_TWINS : []) {
    const twin = member(node, key)
    if (twin !== undefined && twin.kind !== 'null') out.push({ start: twin.start, end: twin.end, text: 'null' })
  }
  const finish = member(node, 'finish_reason')
  if (state.refused && state.delivered.size === 0 && finish?.kind === 'string' && !walk.texts.has(finish.start)) {
    if (finish.value === 'tool_calls' || finish.value === 'function_call') {
      out.push({ start: finish.start, end: finish.end, text: '"stop"' })
    }
  }
  return out
}

/** A line's replacement must stay one line. */
function lineReplacements(event: SseEvent, walk: EditWalk): Replacement[] {
  for (const line of event.otherLines) {
    walk.text('other', 0, linePointer(line.field), line.value, line.from, line.to, 'constant')
  }
  const out: Replacement[] = []
  for (const [start, { end, text }] of walk.texts) out.push({ start, end, text: text.replace(/[\r\n\0]+/g, ' ') })
  walk.texts.clear()
  return out
}
