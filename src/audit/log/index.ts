/**
 * The transparency log for whoever checks it: proofs, checkpoints, keys, policies, tiles. No `node:` import, so this
 * bundles for browsers and workers. Writing a log is in `publisher.ts`.
 */
export {
  type Checkpoint,
  formatCheckpoint,
  type OpenedCheckpoint,
  openCheckpoint,
  parseCheckpoint,
} from './checkpoint.ts'
export { cosignatureTime, cosignatureVerifier, cosignedMessage } from './cosignature.ts'
export { type LogErrorCode, LogInvalid } from './errors.ts'
export {
  type Consistency,
  emptyRoot,
  type Inclusion,
  leafHash,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts'
export {
  formatKey,
  type Note,
  type NoteKey,
  type NoteSignature,
  type NoteSigner,
  type NoteVerifier,
  noteKey,
  noteVerifier,
  type OpenedNote,
  openNote,
  parseKey,
  parseNote,
  signatureLine,
  signNote,
} from './note.ts'
export { meets, type Policy, type PolicyLog, type PolicyWitness, parsePolicy, type Quorum } from './policy.ts'
export {
  cosigned,
  formatProof,
  type LogProof,
  type ProofTrust,
  parseProof,
  type VerifiedProof,
  verifyProof,
} from './proof.ts'
export { findEntry, type Proven, type ProveOptions, proveEntry, proveIndex, readCheckpoint } from './prove.ts'
export { LogReader, type TileSource } from './reader.ts'
export { consistencyRanges, inclusionRanges, type Node, perfectNodes, type Range } from './subtree.ts'
export { decodeBundle, encodeBundle, parseTilePath, type Tile, tilePath, tileWidth } from './tile.ts'
