/**
 * The default markers of the US ladder: banner lines, caveats and portion marks (the forms of the CAPCO register).
 *
 * Caveated forms (`SECRET//NOFORN`) count anywhere: in any case where a word begins, and in capitals also run into the
 * word before them (`the planSECRET//NOFORN`), or the level would have left when its caveat is seen. Short portion marks,
 * `(S)`, `(C)`, `(TS)`, are ordinary writing elsewhere (item(s), (c) 2024, option (S)), so they count only in capitals,
 * where a portion begins (a line, a list item, a sentence), and before a running sentence; and not as an item of a
 * lettered list. `(U)` and other marks of the lowest level are left out: they can never be above anything.
 */
import { type Marker, type MarkerSet, markerSet } from './classification.ts'

const SLASHES = '\\s{0,3}[/\\u2044\\u2215]\\s?[/\\u2044\\u2215]\\s{0,3}'
const LEFT = '(?<![A-Za-z0-9])'
const RIGHT = '(?![A-Za-z0-9])'
const TOP_SECRET = 'TOP[\\s_-]{0,3}SECRET'
/** Dissemination caveats that no ordinary word equals. */
const CAVEATS = '(?:NO[\\s-]?FORN|ORCON|IMCON|PROPIN|RELIDO|FVEY)'
/** Abbreviations: only in capitals. */
const SHORT_CAVEATS = '(?:NF|REL|OC|NOFORN|ORCON|IMCON|PROPIN|RELIDO|FVEY|FISA)'
const COMPARTMENTS = '(?:SCI|HCS|COMINT)'
const SHORT_COMPARTMENTS = '(?:SI|TK|HCS|KDK|SCI|G)'

/** Where a portion begins: start of the text, a line or list item, or after a sentence. Bounded, as lookbehinds must be. */
const PORTION =
  '(?<=(?:^|[\\n\\r])[ \\t]{0,8}(?:(?:[-*\\u2022>#]{1,3}|[0-9A-Za-z]{1,3}[.)])[ \\t]{1,3})?[*_]{0,2}|[.!?\\u2026]["\'\\u201d\\u2019)\\]]{0,2}[ \\t]{1,3}[*_]{0,2})'
const GAP = '[*_]{0,2}[ \\t]{1,4}["\'\\u201c\\u2018*_]{0,2}'
/** Two words of a sentence, the first with a capital. Punctuation between them would make a label: `(S) Strengths: …`. */
const SENTENCE = "\\p{Lu}[\\p{L}'\\u2019-]{0,40},?[ \\t]{1,4}[\\p{L}\\p{N}]"
const COUNT = '[0-9][0-9,.]{0,9}[ \\t]{1,4}\\p{Ll}{3}'
const CAPITAL = '[\\p{Lu}\\p{N}]'

export const US_MARKER_LIST: readonly Marker[] = Object.freeze([
  { name: 'TOP SECRET//SCI', level: 'TS_SCI', source: LEFT + TOP_SECRET + SLASHES + COMPARTMENTS + RIGHT, flags: 'iu' },
  {
    name: 'TOP SECRET//SCI',
    level: 'TS_SCI',
    source: TOP_SECRET + SLASHES + SHORT_COMPARTMENTS + RIGHT,
    flags: 'u',
  },
  { name: 'TS//SCI', level: 'TS_SCI', source: `${LEFT}TS${SLASHES}${COMPARTMENTS}${RIGHT}`, flags: 'iu' },
  { name: 'TS//SCI', level: 'TS_SCI', source: `${LEFT}TS${SLASHES}${SHORT_COMPARTMENTS}${RIGHT}`, flags: 'u' },
  { name: 'TOP SECRET//NOFORN', level: 'TS', source: LEFT + TOP_SECRET + SLASHES + CAVEATS, flags: 'iu' },
  { name: 'TOP SECRET//NOFORN', level: 'TS', source: TOP_SECRET + SLASHES + SHORT_CAVEATS + RIGHT, flags: 'u' },
  { name: 'TS//NOFORN', level: 'TS', source: `${LEFT}TS${SLASHES}${CAVEATS}`, flags: 'iu' },
  { name: 'TS//NOFORN', level: 'TS', source: `${LEFT}TS${SLASHES}${SHORT_CAVEATS}${RIGHT}`, flags: 'u' },
  { name: 'SECRET//NOFORN', level: 'SECRET', source: `${LEFT}SECRET${SLASHES}NO[\\s-]?FORN`, flags: 'iu' },
  { name: 'SECRET//NOFORN', level: 'SECRET', source: `SECRET${SLASHES}NO[\\s-]?FORN`, flags: 'u' },
  { name: 'SECRET//REL', level: 'SECRET', source: `${LEFT}SECRET${SLASHES}REL${RIGHT}`, flags: 'iu' },
  {
    name: 'SECRET//caveat',
    level: 'SECRET',
    source: `SECRET${SLASHES}(?:${SHORT_CAVEATS}|${SHORT_COMPARTMENTS})${RIGHT}`,
    flags: 'u',
  },
  {
    name: '(S//NF)',
    level: 'SECRET',
    source: `(?<![A-Za-z0-9/])S//(?:${SHORT_CAVEATS}|${SHORT_COMPARTMENTS})${RIGHT}`,
    flags: 'u',
  },
  {
    name: '//NOFORN',
    level: 'SECRET',
    // Not `https://orcon.net.nz`, not `//orcon.net.nz`.
    source: '(?<![:/])//(?:NO-?FORN|ORCON|IMCON|FVEY)(?![\\w-]|\\.\\w)',
    flags: 'iu',
  },
  {
    name: '//NOFORN',
    level: 'SECRET',
    source: `(?<![:/])//\\s{1,3}(?:NOFORN|ORCON|IMCON|FVEY)(?![\\w-]|\\.\\w)`,
    flags: 'u',
  },
  { name: '//REL TO', level: 'SECRET', source: '(?<![:/])//\\s{0,3}REL\\s{1,3}TO\\s{1,3}USA', flags: 'iu' },
  { name: 'CUI//', level: 'CUI', source: `${LEFT}CUI\\s{0,3}//`, flags: 'iu' },
  { name: '(C//REL)', level: 'CUI', source: `(?<![A-Za-z0-9/])C//${SHORT_CAVEATS}${RIGHT}`, flags: 'u' },
  { name: 'FOUO', level: 'CUI', source: `${LEFT}FOUO${RIGHT}`, flags: 'iu' },
  { name: '(TS)', level: 'TS', source: `${PORTION}\\(TS\\)${GAP}(?:${SENTENCE}|${COUNT})`, flags: 'u' },
  {
    name: '(S)',
    level: 'SECRET',
    // The letter of a size, a season, a compass point or an acronym spelt out is no portion mark.
    source: `${PORTION}\\(S\\)${GAP}(?!(?:Small|Strengths?|Specific|South|Summer|Spades?|Saturday|Sunday|Subject)(?!\\p{L}))(?:${SENTENCE}|${COUNT})`,
    flags: 'u',
    notAfter: '(R)',
  },
  {
    name: '(C)',
    level: 'CUI',
    source: `${PORTION}\\(C\\)${GAP}(?!(?:Copyright|All|Celsius|Clubs?|Centre|Center)(?!\\p{L}))${SENTENCE}`,
    flags: 'u',
    notAfter: '(B)',
  },
  { name: '(TOP SECRET)', level: 'TS', source: `${PORTION}\\(TOP SECRET\\)${GAP}${CAPITAL}`, flags: 'u' },
  { name: '(SECRET)', level: 'SECRET', source: `${PORTION}\\(SECRET\\)${GAP}${CAPITAL}`, flags: 'u' },
  { name: '(CONFIDENTIAL)', level: 'CUI', source: `${PORTION}\\(CONFIDENTIAL\\)${GAP}${CAPITAL}`, flags: 'u' },
])

/** One object for every check that uses it: the scanner then looks for these patterns once. */
export const US_MARKERS: MarkerSet = markerSet('classification_markers', US_MARKER_LIST)
