/**
 * Decoders that rewrite parts of a text in place: percent, HTML entities, backslash escapes, quoted-printable, and characters that
 * carry text invisibly. Each returns the text unchanged (the same string) when there was nothing to decode.
 */

const utf8 = new TextDecoder('utf-8')
const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  sol: '/',
  bsol: '\\',
  lowbar: '_',
  hyphen: '-',
  dash: '-',
  period: '.',
  comma: ',',
  colon: ':',
  semi: ';',
  excl: '!',
  num: '#',
  lpar: '(',
  rpar: ')',
  ast: '*',
  plus: '+',
  equals: '=',
  Tab: '\t',
  NewLine: '\n',
  shy: '',
  zwj: '',
  zwnj: '',
  ZeroWidthSpace: '',
  ensp: ' ',
  emsp: ' ',
  thinsp: ' ',
}

function byte(hex: string): number {
  return Number.parseInt(hex, 16)
}

function codePoint(value: number): string {
  return value <= 0x10ffff && value !== 0 ? String.fromCodePoint(value) : ' '
}

/** Runs of percent-encoded bytes (RFC 3986 2.1) are UTF-8. `%u0069` is the old JavaScript escape. */
export function unpercent(text: string): string {
  if (!text.includes('%')) return text
  return text
    .replace(/%u([0-9a-f]{4})/gi, (_, h: string) => codePoint(byte(h)))
    .replace(/(?:%[0-9a-f]{2}){1,512}/gi, run => {
      const bytes = new Uint8Array(run.length / 3)
      for (let i = 0; i < bytes.length; i++) bytes[i] = byte(run.slice(3 * i + 1, 3 * i + 3))
      return utf8.decode(bytes)
    })
}

/** Up to `most` bytes from `from` on: percent-encoded ones, and the characters between them that need no escape. */
export function percentBytes(text: string, from: number, most: number): Uint8Array {
  const out: number[] = []
  for (let i = from; i < text.length && out.length < most; ) {
    const c = text.charCodeAt(i)
    if (c === 37 && /^[0-9a-f]{2}$/i.test(text.slice(i + 1, i + 3))) {
      out.push(byte(text.slice(i + 1, i + 3)))
      i += 3
    } else if (c > 32 && c < 127) {
      out.push(c)
      i++
    } else break
  }
  return Uint8Array.from(out)
}

export function unentity(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(
    /&(?:#(\d{1,8})|#x([0-9a-f]{1,7})|([a-z]{2,14}));?/gi,
    (all, decimal: string | undefined, hex: string | undefined, name: string | undefined) => {
      if (decimal !== undefined) return codePoint(Number(decimal))
      if (hex !== undefined) return codePoint(byte(hex))
      return NAMED[name ?? ''] ?? all
    },
  )
}

/** `\u0069`, `\u{69}`, `\U00000069`, `\x69`, `\x{69}`, `\151` (octal). */
export function unbackslash(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(
    // `\U` and eight digits first: its first four are a `\u0000` otherwise.
    /\\(?:[uU]\{([0-9a-fA-F]{1,6})\}|[xX]\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|[uU]([0-9a-fA-F]{4})|[xX]([0-9a-fA-F]{2})|([0-7]{3}))/g,
    (_, a?: string, b?: string, c?: string, d?: string, e?: string, octal?: string) =>
      octal === undefined
        ? codePoint(byte(a ?? b ?? c ?? d ?? e ?? '20'))
        : String.fromCharCode(Number.parseInt(octal, 8) & 255),
  )
}

/** RFC 2045 6.7, with RFC 2047's underscore left alone. One `=41` in code is nobody's mail: three are asked for. */
export function unquotedPrintable(text: string): string {
  if (!text.includes('=')) return text
  const first = text.search(/=[0-9A-Fa-f]{2}|=\r?\n/)
  if (first < 0) return text
  return text.replace(/=\r?\n/g, '').replace(/(?:=[0-9A-Fa-f]{2}){1,512}/g, run => {
    const bytes = new Uint8Array(run.length / 3)
    for (let i = 0; i < bytes.length; i++) bytes[i] = byte(run.slice(3 * i + 1, 3 * i + 3))
    return utf8.decode(bytes)
  })
}

/** Unicode tag characters (U+E0020..E007E mirror ASCII) and variation selectors used as bytes (VS1-16, VS17-256). */
export function uninvisible(text: string): string | undefined {
  if (!/[\udb40\ufe00-\ufe0f]/.test(text)) return undefined
  let tags = ''
  const bytes: number[] = []
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 0xfe00 && c <= 0xfe0f) bytes.push(c - 0xfe00)
    else if (c === 0xdb40) {
      const d = text.charCodeAt(i + 1)
      if (d >= 0xdc20 && d <= 0xdc7e) tags += String.fromCharCode(d - 0xdc00)
      else if (d >= 0xdd00 && d <= 0xddef) bytes.push(d - 0xdd00 + 16)
    }
  }
  const hidden = bytes.length >= 6 ? utf8.decode(Uint8Array.from(bytes)) : ''
  const found = tags + (tags === '' || hidden === '' ? '' : '\n') + hidden
  return found.length >= 4 ? found : undefined
}

const MAX_PUNYCODE_TAIL = 400
const MAX_PUNYCODE_LINE = 4096

/** RFC 3492: the `xn--` labels of a text, and its lines that are themselves an encoder's output (`ignre-abc`), decoded, one a line. */
export function unpunycode(text: string): string | undefined {
  if (!text.includes('-')) return undefined
  const found: string[] = []
  for (const m of text.matchAll(/xn--([a-z0-9-]{1,63})/gi)) keep(punycode(m[1] ?? ''))
  // The last word of the whole text or of a line, glued on by the encoder's hyphen.
  for (const m of text.matchAll(/-[a-z0-9]{2,400}[ \t]{0,8}$/gim)) {
    const line = text.slice(text.lastIndexOf('\n', m.index) + 1, m.index + m[0].length).trimEnd()
    if (line.length <= MAX_PUNYCODE_LINE) keep(punycode(line))
  }
  return found.length === 0 ? undefined : found.join('\n')

  function keep(plain: string | undefined): void {
    if (plain !== undefined) found.push(plain)
  }
}

function punycode(input: string): string | undefined {
  const cut = input.lastIndexOf('-')
  const out = cut > 0 ? Array.from(input.slice(0, cut)) : []
  const tail = input.slice(cut + 1).toLowerCase()
  if (tail.length > MAX_PUNYCODE_TAIL || out.length > 4096) return undefined
  let n = 128
  let i = 0
  let bias = 72
  for (let at = 0; at < tail.length; ) {
    const old = i
    let weight = 1
    for (let k = 36; ; k += 36) {
      const c = tail.charCodeAt(at++)
      const digit = c >= 97 && c < 123 ? c - 97 : c >= 48 && c < 58 ? c - 22 : -1
      if (digit < 0) return undefined
      i += digit * weight
      if (i > 0x7fffffff) return undefined
      const t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias
      if (digit < t) break
      weight *= 36 - t
      if (weight > 0x7fffffff) return undefined
    }
    const count = out.length + 1
    bias = adapt(i - old, count, old === 0)
    n += Math.floor(i / count)
    i %= count
    // An ordinary hyphenated word decodes to a rare script, which hides nothing a reader would take for a letter.
    if (n > 0x1fff && (n < 0xff00 || n > 0xff5e)) return undefined
    out.splice(i++, 0, String.fromCodePoint(n))
  }
  return out.join('')
}

function adapt(delta: number, count: number, first: boolean): number {
  let d = first ? Math.floor(delta / 700) : delta >> 1
  d += Math.floor(d / count)
  let k = 0
  while (d > 455) {
    d = Math.floor(d / 35)
    k += 36
  }
  return k + Math.floor((36 * d) / (d + 38))
}
