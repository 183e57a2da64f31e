/** The ladder and marker options that `classification_gate` and `scope_drift` share. */
import { type Ladder, type Marker, type MarkerSet, markerSet, textMarker, US_LADDER } from '../core/classification.ts'
import { US_MARKER_LIST, US_MARKERS } from '../core/us-markers.ts'
import type { CheckOptions } from './options.ts'

export interface LevelOptions {
  /** Default: UNCLASS < CUI < SECRET < TS < TS_SCI. Make others with `defineLadder`. */
  readonly ladder?: Ladder
  /**
   * Marker text to level, found as whole words. Replaces the default markers; `{}` looks for none. Default: the US
   * markers on the US ladder, none on any other.
   */
  readonly markers?: Readonly<Record<string, string>>
  /** Like `markers`, beside the default ones. */
  readonly extraMarkers?: Readonly<Record<string, string>>
  /** Whether the texts of `markers` and `extraMarkers` count only in the case written. Default false. */
  readonly caseSensitive?: boolean
}

export const LEVEL_OPTIONS = ['ladder', 'markers', 'extraMarkers', 'caseSensitive'] as const

export interface Levels {
  readonly ladder: Ladder
  readonly markers: MarkerSet
  readonly described: Readonly<Record<string, unknown>>
}

export function readLevels(read: CheckOptions): Levels {
  const ladder = readLadder(read)
  const caseSensitive = read.flag('caseSensitive', false)
  const own = readMarkers(read, 'markers', ladder, caseSensitive)
  const extra = readMarkers(read, 'extraMarkers', ladder, caseSensitive) ?? []
  const base = own ?? (ladder === US_LADDER ? US_MARKER_LIST : [])
  const standard = own === undefined && extra.length === 0 && ladder === US_LADDER
  const markers = standard ? US_MARKERS : markerSet('classification_markers', [...base, ...extra])
  return {
    ladder,
    markers,
    described: {
      ladder: { levels: ladder.levels, aliases: ladder.aliases },
      markers: markers.patterns.rules.map(rule => ({
        id: rule.id,
        level: markers.levelOf(rule.id) ?? null,
        ...(rule.kind === 'regex' ? { source: rule.source, flags: rule.flags ?? '' } : { text: rule.text }),
      })),
    },
  }
}

function readLadder(read: CheckOptions): Ladder {
  const given = read.raw('ladder')
  if (given === undefined) return US_LADDER
  if (isLadder(given)) return given
  throw read.wrong('ladder', "a ladder, e.g. defineLadder(['PUBLIC', 'INTERNAL', 'RESTRICTED'])", given)
}

function isLadder(value: unknown): value is Ladder {
  if (value === null || typeof value !== 'object') return false
  const fields: Readonly<Record<string, unknown>> = { ...value }
  return Array.isArray(fields['levels']) && ['parse', 'rank', 'compare'].every(key => typeof fields[key] === 'function')
}

function readMarkers(
  read: CheckOptions,
  key: string,
  ladder: Ladder,
  caseSensitive: boolean,
): readonly Marker[] | undefined {
  const given = read.raw(key)
  if (given === undefined) return undefined
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw read.wrong(key, "an object of marker text to level, e.g. { 'ACME RESTRICTED': 'RESTRICTED' }", given)
  }
  return Object.entries(given).map(([text, level]: [string, unknown]) => {
    if (typeof level !== 'string') throw read.wrong(`${key}[${JSON.stringify(text)}]`, 'the name of a level', level)
    return textMarker(ladder, { text, level, caseSensitive })
  })
}

/** An option that names a level of the ladder. */
export function readLevel<F extends string | undefined>(
  read: CheckOptions,
  key: string,
  ladder: Ladder,
  fallback: F,
): string | F {
  const given = read.raw(key)
  if (given === undefined) return fallback
  const level = typeof given === 'string' ? ladder.parse(given) : undefined
  if (level === undefined) throw read.wrong(key, `one of ${ladder.levels.join(', ')}`, given)
  return level
}
