/** The embeddings surface, for the matrix: vectors pass, anything else an answer says is inspected. */
import { at, body, plainSurface, special, value } from './plain.ts'
import { FORBIDDEN, LEAD, REDACTED, SECRET, type Special, TAIL, type TextBuilder } from './surface.ts'

const LEAK = LEAD + FORBIDDEN + TAIL
const TOP = { object: 'list', model: 'm-1', usage: { prompt_tokens: 8, total_tokens: 8 } }
const VECTOR = [0.0023064255, -0.009327292, -0.0028842222]

const items = (...embeddings: readonly unknown[]) => ({
  ...TOP,
  data: embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding })),
})
const item = (fields: object) => ({ ...TOP, data: [{ object: 'embedding', index: 0, embedding: VECTOR, ...fields }] })
const top = (fields: object) => ({ ...items(VECTOR), ...fields })
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const floats = (length: number) =>
  new Uint8Array(Float32Array.from({ length }, (_, i) => Math.sin(i + 1) / 20 || 0.1).buffer)

const bytes: TextBuilder = {
  ...value(() => ({}), /^\/data\/\*\/embedding\/\*$/, 'blocked'),
  // An item for each piece: whoever reads the lists one after the other reads the text.
  answer: pieces => body(items(...pieces.map(piece => [...Buffer.from(piece)]))),
  joins: true,
  json: false,
}

const leak = (name: string, answer: unknown, expect: Special['expect']): Special =>
  special(name, answer, expect, { hidden: [FORBIDDEN, base64(Buffer.from(LEAK))] })

export const EMBEDDINGS = plainSurface({
  name: 'embeddings',
  path: '/v1/embeddings',
  request: model => ({ model, input: ['Go on.', 'And on.'] }),
  asking: { model: 'm', input: ['Go on.', 'And on.'], encoding_format: 'float', user: 'u-1' },
  text: {
    id: value(said => top({ id: said }), at('/id')),
    object: value(said => top({ object: said }), at('/object')),
    model: value(said => top({ model: said }), at('/model')),
    'embedding that is a string and no vector': value(said => items(said), at('/data/*/embedding')),
    'embedding of bytes that spell text': bytes,
    'error.message': value(said => ({ error: { message: said, type: 'server_error' } }), at('/error/message')),
    'unknown field': value(said => top({ x_note: [said] }), at('/x_note/*')),
    'unknown field of an item': value(said => item({ x_note: { deep: said } }), at('/data/*/x_note/deep')),
    'unknown key': value(said => top({ [said]: 1 }), at('/~key'), 'blocked'),
  },
  specials: [
    special('vectors of floats', items(VECTOR, VECTOR), 'identical'),
    special('vectors in base64', items(base64(floats(256)), base64(floats(256))), 'identical'),
    special('vectors of signed bytes', items([-128, 127, 3], [12, -7, 0]), 'identical'),
    leak('base64 that is a text', items(base64(Buffer.from(LEAK))), 'refused'),
    leak('base64 that is a text as long as a vector', items(base64(Buffer.from(LEAK.padEnd(1024, '.')))), 'refused'),
    leak('bytes written with fractions and exponents', fractions(), 'refused'),
    leak('a list of strings for a vector', items([LEAK]), 'refused'),
    leak('a string among the floats', items([...VECTOR, LEAK]), 'refused'),
    leak('base64 that is a text, behind a vector', items(VECTOR, base64(Buffer.from(LEAK))), 'refused'),
    leak('data that is no list', { ...TOP, data: LEAK }, 'refused'),
    leak('inside usage', top({ usage: { prompt_tokens: 8, note: LEAK } }), 'refused'),
    leak('a number that is none', '{"object":"list","data":[{"embedding":[0.5,NaN]}]}', 'broken off'),
    leak('key that differs from a known one only in case', top({ Data: LEAK }), 'broken off'),
    leak('something behind the body', `{"object":"list","data":[]}${LEAK}`, 'broken off'),
    special('a secret beside the vectors, which stay to the byte', secret(), 'redacted', {
      hidden: [SECRET],
      shown: [`[ 0.10, -2e-3 ]`, LEAD + REDACTED],
    }),
    special("signet's own fields, forged by upstream", top({ signet: { x: LEAK } }), 'cleaned', {
      hidden: [FORBIDDEN],
    }),
  ],
})

function fractions(): string {
  const written = [...Buffer.from(LEAK)].map((b, i) => (i % 2 === 0 ? `${b}.0` : `${b * 10}e-1`))
  return `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[${written.join(',')}]}]}`
}

function secret(): string {
  return `{"object":"list","data":[{"embedding":[ 0.10, -2e-3 ]}],"model":"${LEAD}${SECRET}"}`
}
