/** What an issuer's entry means where it says nothing. */
export const DEFAULT_ALGORITHMS: readonly string[] = ['RS256', 'PS256', 'ES256', 'EdDSA']
export const DEFAULT_TOLERANCE_S = 30
