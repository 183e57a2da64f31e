/**
 * Classification: ordered ladders of levels, and the markers by which text shows its level.
 *
 * Guarantees: a level that is not on the ladder is `undefined`, never a default and never a near match; of several
 * markers the highest counts. Does not guarantee that unmarked text is unclassified: markers are evidence, no proof.
 */
import type { Hit, PatternSet, RegexRule, Rule } from '../text/scan.ts'

/** Levels in ascending order. */
export interface Ladder {
  readonly levels: readonly string[]
  readonly aliases: Readonly<Record<string, readonly string[]>>
  readonly lowest: string
  readonly highest: string
  /** The level a value names (NFKC, trimmed, any case), or `undefined`. */
  parse(value: string): string | undefined
  /** Position of an exact level name, from 0; `undefined` when it is not on this ladder. */
  rank(level: string): number | undefined
  /** Negative, zero or positive. Throws for a name that is not on this ladder. */
  compare(a: string, b: string): number
  max(a: string, b: string): string
  min(a: string, b: string): string
}

const LEVEL_NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N} _./-]{0,62}[\p{L}\p{N}])?$/u

/** `defineLadder(['PUBLIC', 'INTERNAL', 'RESTRICTED'], { RESTRICTED: ['SECRET'] })`, lowest level first. */
export function defineLadder(
  levels: readonly string[],
  aliases: Readonly<Record<string, readonly string[]>> = {},
): Ladder {
  const [lowest] = levels
  const highest = levels.at(-1)
  if (lowest === undefined || highest === undefined) {
    throw new TypeError("ladder: expected at least one level, got none; e.g. ['PUBLIC', 'INTERNAL', 'RESTRICTED']")
  }
  const ranks = new Map<string, number>()
  const names = new Map<string, string>()
  const claim = (name: string, level: string): void => {
    if (typeof name !== 'string' || !LEVEL_NAME.test(name.normalize('NFKC'))) {
      throw new TypeError(
        'ladder: level names and aliases are 1 to 64 letters, digits, spaces, underscores, points, slashes or hyphens',
      )
    }
    const key = levelKey(name)
    const taken = names.get(key)
    if (taken !== undefined && taken !== level) {
      throw new TypeError(`ladder: '${name}' names both ${taken} and ${level}; keep one of them`)
    }
    names.set(key, level)
  }
  for (const [rank, level] of levels.entries()) {
    if (ranks.has(level)) throw new TypeError(`ladder: level '${level}' is listed twice; list each level once`)
    claim(level, level)
    ranks.set(level, rank)
  }
  for (const [level, others] of Object.entries(aliases)) {
    if (!ranks.has(level)) throw new TypeError(`ladder: aliases are given for '${level}', which is not a level`)
    for (const other of others) claim(other, level)
  }
  const rankOf = (level: string): number => {
    const rank = ranks.get(level)
    if (rank === undefined) throw new RangeError(`ladder: expected one of ${levels.join(', ')}`)
    return rank
  }
  return Object.freeze({
    levels: Object.freeze([...levels]),
    aliases: Object.freeze({ ...aliases }),
    lowest,
    highest,
    parse: (value: string) => names.get(levelKey(value)),
    rank: (level: string) => ranks.get(level),
    compare: (a: string, b: string) => rankOf(a) - rankOf(b),
    max: (a: string, b: string) => (rankOf(a) >= rankOf(b) ? a : b),
    min: (a: string, b: string) => (rankOf(a) <= rankOf(b) ? a : b),
  })
}

function levelKey(value: string): string {
  return value.normalize('NFKC').trim().toUpperCase()
}

/** The default ladder. CONFIDENTIAL is no alias: a caller who means it must say which of these it is. */
export const US_LADDER: Ladder = defineLadder(['UNCLASS', 'CUI', 'SECRET', 'TS', 'TS_SCI'], {
  UNCLASS: ['UNCLASSIFIED', 'U'],
  CUI: ['FOUO'],
  SECRET: ['S'],
  TS: ['TOP SECRET', 'TOPSECRET'],
  TS_SCI: ['TS/SCI', 'TS-SCI', 'SCI'],
})

/** One way a text can show a level. */
export interface Marker {
  /** What reasons and rows call it. */
  readonly name: string
  readonly level: string
  readonly source: string
  readonly flags: string
  readonly maxMatch?: number
  /** A mark that is not one when this letter of a lettered list, `(B)`, stands shortly before it. */
  readonly notAfter?: string
}

export interface MarkerSet {
  readonly patterns: PatternSet
  /** The level a rule stands for; `undefined` for rules that are only context. */
  levelOf(ruleId: string): string | undefined
  /** One per text: lists are recognised from what came before. */
  open(): MarkerReader
}

export interface Found {
  readonly marker: string
  readonly level: string
  readonly from: number
  readonly to: number
}

export interface MarkerReader {
  read(hits: readonly Hit[]): readonly Found[]
}

/** How far behind a lettered list item still makes the next letter a list item, in UTF-16 units. */
const LIST_REACH = 2_000
/** List letters remembered: in a stream a few may be decided before the mark that they follow. */
const LIST_MEMORY = 8
const LIST_PREFIX = 'list:'

export function markerSet(id: string, markers: readonly Marker[]): MarkerSet {
  const rules: Rule[] = []
  const byRule = new Map<string, Marker>()
  const letters = new Set<string>()
  for (const marker of markers) {
    const ruleId = byRule.has(marker.name) ? `${marker.name} (${byRule.size})` : marker.name
    byRule.set(ruleId, marker)
    const rule: RegexRule = { kind: 'regex', id: ruleId, source: marker.source, flags: marker.flags }
    rules.push(marker.maxMatch === undefined ? rule : { ...rule, maxMatch: marker.maxMatch })
    if (marker.notAfter !== undefined) letters.add(marker.notAfter)
  }
  for (const letter of letters) {
    rules.push({ kind: 'literal', id: LIST_PREFIX + letter, text: letter, caseSensitive: true })
  }
  return Object.freeze({
    patterns: Object.freeze({ id, rules: Object.freeze(rules) }),
    levelOf: (ruleId: string) => byRule.get(ruleId)?.level,
    open: () => markerReader(byRule),
  })
}

const NOTHING: readonly Found[] = Object.freeze([])

function markerReader(byRule: ReadonlyMap<string, Marker>): MarkerReader {
  let seen: Map<string, number[]> | undefined
  return {
    read(hits) {
      if (hits.length === 0) return NOTHING
      const found: Found[] = []
      for (const hit of hits) {
        if (hit.id.startsWith(LIST_PREFIX)) {
          seen ??= new Map()
          const letter = hit.id.slice(LIST_PREFIX.length)
          const ends = seen.get(letter)
          if (ends === undefined) seen.set(letter, [hit.to])
          else if (ends.push(hit.to) > LIST_MEMORY) ends.shift()
          continue
        }
        const marker = byRule.get(hit.id)
        if (marker === undefined) continue
        const ends = marker.notAfter === undefined ? undefined : seen?.get(marker.notAfter)
        if (ends?.some(to => to <= hit.from && hit.from - to < LIST_REACH)) continue
        found.push({ marker: marker.name, level: marker.level, from: hit.from, to: hit.to })
      }
      return found
    },
  }
}

/** A marker an operator names in the configuration: its text anywhere, as whole words, in any spacing. */
export interface TextMarker {
  readonly text: string
  readonly level: string
  readonly caseSensitive?: boolean
}

export function textMarker(ladder: Ladder, { text, level, caseSensitive = false }: TextMarker): Marker {
  const shown = JSON.stringify(String(text).slice(0, 64))
  const trimmed = typeof text === 'string' ? text.normalize('NFKC').trim() : ''
  if (trimmed.length < 2 || trimmed.length > 200) {
    throw new TypeError(`marker ${shown}: expected 2 to 200 characters of text`)
  }
  const known = typeof level === 'string' ? ladder.parse(level) : undefined
  if (known === undefined) throw new TypeError(`marker ${shown}: its level must be one of ${ladder.levels.join(', ')}`)
  const words = trimmed.split(/\s+/u).map(word => word.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
  const left = /^[\p{L}\p{N}]/u.test(trimmed) ? '(?<![\\p{L}\\p{N}])' : ''
  const right = /[\p{L}\p{N}]$/u.test(trimmed) ? '(?![\\p{L}\\p{N}])' : ''
  return {
    name: trimmed,
    level: known,
    source: left + words.join('\\s{1,3}') + right,
    flags: caseSensitive ? 'u' : 'iu',
  }
}
