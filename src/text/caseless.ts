/**
 * A key as readers match it that do not regard case (Go's encoding/json, .NET's binders) or that normalise: like Unicode's
 * NFKC_Casefold, and upper-casing too (a dotless or a long letter). ASCII keeps to the short way.
 */
export function caseless(key: string): string {
  if (/^[\x20-\x7e]*$/.test(key)) return key.toLowerCase()
  return key
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC')
}
