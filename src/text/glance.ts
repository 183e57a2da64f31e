/**
 * A first look at a whole text: is there anything in it that a scan would have to look at? Nearly always there is not.
 *
 * Guarantees: `true` only for a text in which the scan finds no hit; it allocates nothing. Why that is so: in ASCII the
 * text and its fold are the same; every literal, and every pattern that has a door, begins with one of the automata's
 * words, and no such word is in the text. Where some pattern begins with no word the answer is always `false`.
 */
import { isAscii } from './fold.ts'
import { runBoth, START, type WordSink } from './literals.ts'
import type { Rules } from './rules.ts'

/** What is longer than most envelopes' fields is scanned at once: where a word is found it would be gone through twice. */
const LONGEST = 4096

export function glanceOf(rules: Rules): (text: string) => boolean {
  if (rules.units.wordsPerUnit > 0) return () => false
  const { lower, exact } = rules
  const states = new Int32Array(2)
  let told = false
  const sink: WordSink = {
    word: () => {
      told = true
    },
  }
  return text => {
    if (text.length > LONGEST || !isAscii(text)) return false
    told = false
    if (lower !== undefined && exact !== undefined) {
      states.fill(START)
      runBoth(lower.automaton, exact.automaton, states, text, sink)
    } else {
      lower?.automaton.run(START, text, sink)
      exact?.automaton.run(START, text, sink)
    }
    return !told
  }
}
