/**
 * The arguments of a call as one value, and the digest that stands for it. Gate and executor read them here, by the same
 * rule: I-JSON (RFC 7493), where two parsers cannot disagree, in the one spelling of RFC 8785.
 */
import { canonicalJson } from '../core/jcs.ts'
import { readArguments } from '../dialects/arguments.ts'
import { sha256Digest, toUtf8 } from '../jws/bytes.ts'

export type ToolArguments = Readonly<Record<string, unknown>>

export interface ReadArguments {
  readonly value: ToolArguments
  /** `sha256:<hex>` of the RFC 8785 form. */
  readonly digest: string
}

/** `undefined` when the text is no I-JSON object. Empty text is `{}`: models leave out empty arguments. */
export async function argumentsOfText(text: string): Promise<ReadArguments | undefined> {
  const value = readArguments(text)
  return value === undefined ? undefined : { value, digest: await sha256Digest(toUtf8(canonicalJson(value))) }
}

/**
 * The same for arguments that somebody else has parsed. What comes back is read from their canonical text: a value of its
 * own, whatever getters, `toJSON` or later changes the given one has.
 */
export async function argumentsOfValue(given: unknown): Promise<ReadArguments | undefined> {
  let text: string
  try {
    text = canonicalJson(given)
  } catch {
    return undefined
  }
  return argumentsOfText(text)
}
