/** The `identity` setting, from `pipeline.ts` or from a JSON file of the same shape. */
import { isFault, readJson, toValue } from '../dialects/json.ts'
import { checkIdentity, type IdentitySetting } from '../identity/open.ts'
import { readOperatorFile } from './operator-file.ts'

/** Throws a `TypeError` that says what is wrong and never repeats a value. */
export function identityFrom(given: unknown): IdentitySetting {
  checkIdentity(given)
  return given
}

/** Strict JSON: of two members with one name, a person and a program read different ones. Throws a one-line error. */
export function readIdentityFile(path: string): IdentitySetting {
  const document = readJson(readOperatorFile(path))
  if (isFault(document)) throw new Error(`${path} is not strict JSON (${document.code})`)
  try {
    return identityFrom(toValue(document.root))
  } catch (error) {
    throw new Error(`in ${path}, ${error instanceof Error ? error.message : 'the shape is wrong'}`, { cause: error })
  }
}
