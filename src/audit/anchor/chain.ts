/**
 * The path from a time-stamping authority's certificate to a configured root, as it was at one moment (RFC 5280 section 6).
 *
 * The path is found here, bounded, and checked by pkijs. Found by pkijs, certificates that issue each other would keep it
 * busy for ever; and it does not look at path lengths. Revocation is not checked.
 */
import { X509Certificate } from 'node:crypto'
import { BasicConstraints, type Certificate, CertificateChainValidationEngine } from 'pkijs'
import { AnchorInvalid } from './errors.ts'

/** Certificates from the signer to the root. */
const MAX_PATH = 8
/** Certificates of a response that are looked at. */
const MAX_CERTIFICATES = 32

const BASIC_CONSTRAINTS = '2.5.29.19'

interface Both {
  readonly pki: Certificate
  readonly node: X509Certificate
}

/** Rejects with `chain_untrusted`. */
export async function checkChain(
  signer: Certificate,
  others: readonly Certificate[],
  roots: readonly Certificate[],
  at: Date,
): Promise<void> {
  const path = pathOf(both(signer), others.slice(0, MAX_CERTIFICATES).map(both), roots.map(both), MAX_PATH)
  if (path === undefined) throw untrusted('no configured root has issued it')
  checkLengths(path)
  const [root] = path.slice(-1)
  const engine = new CertificateChainValidationEngine({
    trustedCerts: root === undefined ? [] : [root.pki],
    // The engine takes the last one for the one in question.
    certs: path
      .slice(0, -1)
      .reverse()
      .map(({ pki }) => pki),
    checkDate: at,
  })
  const { result, resultMessage } = await engine.verify()
  if (!result) throw untrusted(resultMessage.split('\n')[0] ?? '')
}

function pathOf(
  from: Both,
  others: readonly Both[],
  roots: readonly Both[],
  left: number,
): readonly Both[] | undefined {
  if (left < 2) return undefined
  const root = roots.find(candidate => issued(candidate, from))
  if (root !== undefined) return [from, root]
  for (const next of others.filter(candidate => issued(candidate, from))) {
    const rest = pathOf(
      next,
      others.filter(other => other !== next),
      roots,
      left - 1,
    )
    if (rest !== undefined) return [from, ...rest]
  }
  return undefined
}

/** By name, by key identifier, and by signature. */
function issued(issuer: Both, subject: Both): boolean {
  try {
    return subject.node.checkIssued(issuer.node) && issuer.node.ca && subject.node.verify(issuer.node.publicKey)
  } catch {
    return false
  }
}

/** pathLenConstraint (RFC 5280 section 4.2.1.9): how many authorities may stand between this one and the signer. */
function checkLengths(path: readonly Both[]): void {
  for (const [between, { pki }] of path.slice(1).entries()) {
    const found = pki.extensions?.find(({ extnID }) => extnID === BASIC_CONSTRAINTS)?.parsedValue
    if (!(found instanceof BasicConstraints)) continue
    const most = found.pathLenConstraint
    if (typeof most === 'number' ? most < between : most !== undefined)
      throw untrusted('the path is longer than an authority in it allows')
  }
}

function both(pki: Certificate): Both {
  return { pki, node: new X509Certificate(Buffer.from(pki.toSchema().toBER())) }
}

function untrusted(why: string): AnchorInvalid {
  return new AnchorInvalid('chain_untrusted', `the time-stamping certificate is not to be trusted: ${why}`)
}
