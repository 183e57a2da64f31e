/**
 * A pattern of ECMA-262 (flag `u`), as JSON Schema means it, in the words of RE2. Where both take a spelling and read it
 * in different ways, RE2's would let through what the pattern was written to keep out: its `.` takes a carriage return and
 * the two Unicode line breaks, its `\S` takes every blank beyond ASCII. Escaped characters are written by their number, which has one reading.
 */
import { type AST, visitRegExpAST } from '@eslint-community/regexpp'
import { PatternError } from '../../text/pattern.ts'

/** ECMA-262 22.2.2.9: WhiteSpace and LineTerminator, and everything else. */
const BLANK =
  '\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}'
const NOT_BLANK =
  '\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}' +
  '\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}'
const NOT_LINE_BREAK = '[^\\x{a}\\x{d}\\x{2028}\\x{2029}]'

/** Throws a `PatternError` for what has no equal in RE2 and would be read as something else. */
export function re2Source(source: string, tree: AST.Pattern): string {
  const parts: string[] = []
  let done = 0
  const write = (node: AST.Node, text: string) => {
    parts.push(source.slice(done, node.start), text)
    done = node.end
  }
  // In the order of the source, as the visitor goes.
  visitRegExpAST(tree, {
    onCharacterSetEnter(node) {
      if (node.kind === 'any') write(node, NOT_LINE_BREAK)
      else if (node.kind === 'space') {
        const set = node.negate ? NOT_BLANK : BLANK
        write(node, node.parent.type === 'CharacterClass' ? set : `[${set}]`)
      } else if (node.kind === 'property' && node.value !== null && (node.key === 'Script' || node.key === 'sc')) {
        write(node, `\\${node.negate ? 'P' : 'p'}{${node.value}}`)
      }
    },
    onCharacterEnter(node) {
      if (node.raw.startsWith('\\')) write(node, `\\x{${node.value.toString(16)}}`)
    },
    onModifiersEnter({ parent }) {
      throw new PatternError(`'${parent.raw}' changes the flags of a part: write out what it should match`)
    },
  })
  parts.push(source.slice(done))
  return parts.join('')
}
