/** Paths of the API, as its description writes them: matched raw, segment by segment, and only in their one spelling. */

/** What may stand for `{name}`. */
const PARAMETERS: Readonly<Record<string, RegExp>> = {
  '{id}': /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  // A credential id of at most 1023 bytes (WebAuthn), in base64url.
  '{passkey}': /^[A-Za-z0-9_-]{1,1364}$/,
}

export function isEscalationId(text: string): boolean {
  return PARAMETERS['{id}']?.test(text) === true
}

/** The parameter's value (empty where the path has none), or `undefined`: another path. */
export function matchPath(template: string, path: string): string | undefined {
  const wanted = template.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  let value = ''
  for (const [i, segment] of wanted.entries()) {
    const here = given[i] ?? ''
    const parameter = PARAMETERS[segment]
    if (parameter === undefined ? here !== segment : !parameter.test(here)) return undefined
    if (parameter !== undefined) value = here
  }
  return value
}
