/**
 * Gestures whose letters were spread apart, run together, or put through a cipher of the alphabet: matched on letters alone, so they
 * ask for more than the ordinary rules (the object as well as the verb, from a short list).
 */
import { type Disguise, disguiseName, findDisguised, indexWords, undisguise } from '../../text/decode-cipher.ts'

const WORDS = indexWords([
  'ignore',
  'ignoring',
  'disregard',
  'forget',
  'override',
  'overriding',
  'bypass',
  'jailbreak',
  'jailbroken',
  'developermode',
  'doanythingnow',
  'systemprompt',
  'actasif',
  'donotfollow',
  'repeateverything',
  'reveal',
])

const FILL =
  '(?:all|any|every|each|of|the|these|those|this|that|my|our|your|other|and|or|about|everything|previous|prior|preceding|earlier|above|foregoing|initial|original|existing|former|past|system|developer|given|safety|instructions?|rules|guidelines|prompts?)'
const ORDERS =
  '(?:instruction|prompt|directive|guideline|command|orders|programming|rules|message|training|restriction)'

const GESTURES: readonly { readonly name: string; readonly pattern: RegExp; readonly ciphered: boolean }[] = [
  {
    name: 'ignore_previous',
    ciphered: false,
    pattern: new RegExp(
      `^(?:ignor(?:e|ing)|donotfollow)(?:(?:all|any|every|of|the|these|those|my|your|other|and|everything)){0,5}(?:previous|prior|preceding|earlier|above|foregoing|initial|original|your|system|all)${FILL}{0,6}(?:instruction|prompt|directive|guideline|command|orders|programming)`,
    ),
  },
  {
    name: 'ignore_previous',
    ciphered: true,
    pattern: new RegExp(`^(?:ignor(?:e|ing)|donotfollow)${FILL}{1,8}${ORDERS}?`),
  },
  {
    name: 'disregard',
    ciphered: false,
    pattern: new RegExp(
      `^disregard(?:ing)?${FILL}{0,5}(?:previous|prior|preceding|above|your|system|all)${FILL}{0,4}(?:instruction|prompt|directive|guideline|rules)`,
    ),
  },
  { name: 'disregard', ciphered: true, pattern: new RegExp(`^disregard${FILL}{1,8}`) },
  {
    name: 'forget_prompt',
    ciphered: false,
    pattern: new RegExp(
      `^forget${FILL}{0,5}(?:your|previous|prior|all)${FILL}{0,4}(?:instruction|prompt|directive|programming|training|guideline)`,
    ),
  },
  { name: 'forget_prompt', ciphered: true, pattern: new RegExp(`^forget(?:everything|${FILL}{1,8}${ORDERS})`) },
  {
    name: 'override_instructions',
    ciphered: false,
    pattern: new RegExp(
      `^(?:overrid(?:e|ing)|bypass)${FILL}{0,4}(?:your|previous|prior|system)${FILL}{0,4}(?:instruction|prompt|directive|guideline|programming)`,
    ),
  },
  {
    name: 'override_instructions',
    ciphered: true,
    pattern: new RegExp(`^(?:overrid(?:e|ing)|bypass)${FILL}{1,6}${ORDERS}`),
  },
  { name: 'jailbreak_keyword', ciphered: true, pattern: /^jailbr(?:eak|oken)/ },
  { name: 'developer_mode', ciphered: true, pattern: /^developermode/ },
  { name: 'developer_mode', ciphered: false, pattern: /^developermode(?:is|now){0,2}(?:enabled|activated)/ },
  { name: 'dan_jailbreak', ciphered: false, pattern: /^doanythingnow/ },
  { name: 'dan_jailbreak', ciphered: true, pattern: /^doanythingnow/ },
  { name: 'no_restrictions', ciphered: true, pattern: /^actasif(?:you|there)/ },
  { name: 'no_restrictions', ciphered: false, pattern: /^actasifyouhaveno(?:restriction|limit|filter|rules)/ },
  { name: 'prompt_extraction', ciphered: true, pattern: /^(?:systemprompt|repeateverything)/ },
  {
    name: 'prompt_extraction',
    ciphered: true,
    pattern: /^reveal(?:your|the)(?:system|initial|hidden|secret|original)?(?:prompt|instruction)/,
  },
]

/** A word that is a gesture by itself: nothing stands between its letters in honest text, while `jail, breakfast` has all of them. */
const SPELLED = new RegExp(`^(?:${['jailbreak', 'jailbroken'].map(w => [...w].join('[^a-z0-9]{1,3}')).join('|')})`)

const AT_ONCE = 160
const GLIMPSE = 24
/** Any gesture needs one of these behind the verb, or is a word of its own. */
const GLIMPSED =
  /^(?:(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass|donotfollow|reveal)(?:all|any|every|each|of|the|th|my|our|your|other|about|prev|prior|prec|earl|above|fore|init|orig|exis|form|past|syst|dev|giv|saf|instr|rule|guide|prompt|or|and)|jailbr|developermode|doanythingnow|systemprompt|actasif|repeateverything)/

export interface SpreadFinding {
  readonly rule: string
  /** Empty for plain letters that were only spread apart. */
  readonly cipher: string
}

/** The first such gesture in a folded text. */
export function findSpread(text: string): SpreadFinding | undefined {
  let found: SpreadFinding | undefined
  findDisguised(text, WORDS, (_word, at, disguise) => {
    const plain = isPlain(disguise)
    if (!GLIMPSED.test(undisguise(text, at, GLIMPSE, disguise))) return false
    if (plain && SPELLED.test(text.slice(at, at + AT_ONCE))) {
      found = { rule: 'jailbreak_keyword', cipher: '' }
      return true
    }
    const phrase = undisguise(text, at, AT_ONCE, disguise)
    const gesture = GESTURES.find(g => g.ciphered !== plain && g.pattern.test(phrase))
    if (gesture === undefined) return false
    found = { rule: gesture.name, cipher: disguiseName(disguise) }
    return true
  })
  return found
}

function isPlain(d: Disguise): boolean {
  return d.shift === 0 && !d.mirrored && !d.reversed
}
