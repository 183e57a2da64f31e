/** The strict JSON reader: one reading only, and the same as JSON.parse's. */
import { decodeUtf8, isFault, type JsonNode, parseJson, readJson, toValue } from '../../../src/dialects/json.ts'
import type { Random } from '../random.ts'
import { bytesOf, equal, must, type Target } from '../target.ts'

export function buildJson(random: Random, depth = 0): unknown {
  switch (random.below(depth > 5 ? 5 : 7)) {
    case 0:
      return random.pick([null, true, false])
    case 1:
      return random.pick([0, -0.5, 1e21, 12, 9007199254740991, -1, 1e-7])
    case 2:
      return random.pick(['', 'a', '\u2028', '\u{1F5FC}\u0301', '"\\/\b\f\n\r\t', '\u0000', 'data: x\n\n'])
    case 3:
      return []
    case 4:
      return {}
    case 5:
      return random.list(4, () => buildJson(random, depth + 1))
    default:
      return Object.fromEntries(
        random.list(4, () => [
          random.pick(['a', 'b', 'A', '__proto__', 'ｃ', 'toString', '']),
          buildJson(random, depth + 1),
        ]),
      )
  }
}

function walk(node: JsonNode, text: string): void {
  must(node.start >= 0 && node.end <= text.length && node.start < node.end, 'every node has its place in the text')
  if (node.kind === 'object') {
    must(new Set(node.keys).size === node.keys.length, 'no key is there twice')
    node.keys.forEach((key, i) => {
      const start = node.keyStarts[i] ?? -1
      must(text[start] === '"' && key.isWellFormed(), 'a key begins where it is said to')
    })
    for (const value of node.values) walk(value, text)
  } else if (node.kind === 'array') for (const item of node.items) walk(item, text)
  else equal(JSON.parse(text.slice(node.start, node.end)), toValue(node), 'a leaf, read from its place')
}

export const json: Target = {
  name: 'json',
  words: ['{"a":1,"a":2}', '"\\ud83d\\udc4d"', '1.0', '-0', '1E5', '0123', '{"a":{"b":[', ']}', '"a":', 'NaN'],
  build: random => bytesOf(JSON.stringify(buildJson(random), null, random.below(3))),
  check: bytes => {
    const doc = readJson(bytes)
    const text = decodeUtf8(bytes)
    if (text === undefined) {
      must(isFault(doc), 'bytes that are not UTF-8 are refused')
      return
    }
    if (isFault(doc)) {
      must(!/[\r\n]/.test(doc.message), 'a fault is one line')
      return
    }
    must(doc.text === text, 'the document keeps its text')
    equal(toValue(doc.root), JSON.parse(text), 'the value')
    walk(doc.root, text)
    const again = parseJson(JSON.stringify(toValue(doc.root)))
    must(!isFault(again), 'what was accepted is accepted when written anew')
  },
}
