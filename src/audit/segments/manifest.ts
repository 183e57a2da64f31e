/**
 * `<log>.manifest`: what became of each rolled file. Two lines per log segment, each with a MAC over itself and the MAC of
 * the line before: `rolled` when the live file was set aside, `packed` when its compressed form is on the disk for good.
 *
 * Guarantees: a line that was changed, moved, repeated or taken out of the middle is named; so is a segment that was put in
 * the place of another. Lines taken off the end show where the next file begins: its first row names the row before it.
 * Does not detect: manifest, segments, live file and head put back together to an older state (checkpoints do).
 */
import type { Key, KeyRing } from '../../keys/ring.ts'
import { EMPTY, type Position } from '../chain.ts'
import { JsonFault, parseJson } from '../json.ts'

const DOMAIN = 'signet-audit-manifest-v1\0'

export interface Packed {
  /** Name of the file, without folder: it may be moved. */
  readonly file: string
  readonly bytes: number
  /** Of the file. */
  readonly sha256: string
  /** Of the rows in it. */
  readonly rawSha256: string
}

/** One log segment: rows `from.count` up to, not including, `to.count`. */
export interface SegmentEntry {
  readonly number: number
  readonly from: Position
  readonly to: Position
  readonly firstTsNs: bigint
  readonly packed: Packed | undefined
}

export interface ManifestFault {
  /** 1-based. */
  readonly line: number
  readonly detail: string
}

export interface Manifest {
  readonly entries: readonly SegmentEntry[]
  /** Bytes of complete lines. */
  readonly length: number
  /** Bytes after the last complete line: a crash in the middle of an append, never acted upon. */
  readonly torn: number
  /** Of the last line; empty when there is none. */
  readonly mac: string
  readonly faults: readonly ManifestFault[]
}

export const NO_SEGMENTS: Manifest = { entries: [], length: 0, torn: 0, mac: '', faults: [] }

export function endOf(manifest: Manifest): Position {
  return manifest.entries.at(-1)?.to ?? EMPTY
}

export function encodeRolled(entry: Omit<SegmentEntry, 'packed'>, key: Key, previousMac: string): string {
  const { number, from, to, firstTsNs } = entry
  const json =
    `{"bytes":${to.length - from.length},"first_row":${from.count},"first_ts_ns":"${firstTsNs}","key_id":"${key.id}",` +
    `"kind":"rolled","last_hmac":"${to.hmac}","last_ts_ns":"${to.tsNs}","prev_hmac":"${from.hmac}",` +
    `"rows":${to.count - from.count},"segment":${number},"v":1}`
  return sign(json, key, previousMac)
}

export function encodePacked(number: number, packed: Packed, key: Key, previousMac: string): string {
  const json =
    `{"bytes":${packed.bytes},"file":${JSON.stringify(packed.file)},"key_id":"${key.id}","kind":"packed",` +
    `"raw_sha256":"${packed.rawSha256}","segment":${number},"sha256":"${packed.sha256}","v":1}`
  return sign(json, key, previousMac)
}

function sign(json: string, key: Key, previousMac: string): string {
  return `${json.slice(0, -1)},"mac":"${key.mac(Buffer.from(DOMAIN + previousMac + json))}"}\n`
}

/** The MAC of an encoded line. */
export function macOf(line: string): string {
  return line.slice(-67, -3)
}

/** Never throws, whatever the bytes. Without a ring MACs are not looked at: enough to find rows, not to trust them. */
export function parseManifest(bytes: Buffer, ring: KeyRing | undefined): Manifest {
  const end = bytes.lastIndexOf(0x0a) + 1
  const entries: SegmentEntry[] = []
  const faults: ManifestFault[] = []
  let mac = ''
  const lines = bytes.toString('utf8', 0, end).split('\n').slice(0, -1)
  for (const [i, text] of lines.entries()) {
    const fault = (detail: string) => faults.push({ line: i + 1, detail })
    const read = parseLine(text)
    if (read === undefined) {
      fault('is no line of a manifest')
      continue
    }
    if (ring !== undefined) {
      const key = ring.get(read.keyId)
      if (key === undefined) fault(`is signed with key ${read.keyId}, which is not in the key ring`)
      else if (!key.verify(Buffer.from(DOMAIN + mac + read.signed), read.mac)) {
        fault('was changed, or does not follow the line before: its MAC does not hold')
      }
    }
    mac = read.mac
    if (read.kind === 'rolled') addRolled(entries, read, fault)
    else addPacked(entries, read, fault)
  }
  return { entries, length: end, torn: bytes.length - end, mac, faults }
}

function addRolled(entries: SegmentEntry[], read: RolledLine, fault: (detail: string) => void): void {
  const from = entries.at(-1)?.to ?? EMPTY
  if (read.number !== (entries.at(-1)?.number ?? 0) + 1 || read.firstRow !== from.count) {
    fault(`names segment ${read.number} from row ${read.firstRow}; expected row ${from.count}`)
    return
  }
  if (read.prevHmac !== from.hmac) fault(`names a segment ${read.number} that does not follow the one before`)
  entries.push({
    number: read.number,
    from: { ...from, hmac: read.prevHmac },
    to: {
      count: from.count + read.rows,
      length: from.length + read.bytes,
      hmac: read.lastHmac,
      tsNs: read.lastTsNs,
    },
    firstTsNs: read.firstTsNs,
    packed: undefined,
  })
}

function addPacked(entries: SegmentEntry[], read: PackedLine, fault: (detail: string) => void): void {
  const at = entries.findIndex(e => e.number === read.number)
  const entry = entries[at]
  if (entry === undefined || entry.packed !== undefined) {
    fault(`packs segment ${read.number}, which ${entry === undefined ? 'was not rolled' : 'is packed already'}`)
    return
  }
  entries[at] = { ...entry, packed: read.packed }
}

interface LineBase {
  readonly number: number
  readonly keyId: string
  readonly mac: string
  /** What the MAC is over, after the MAC of the line before. */
  readonly signed: string
}
interface RolledLine extends LineBase {
  readonly kind: 'rolled'
  readonly firstRow: bigint
  readonly rows: bigint
  readonly bytes: number
  readonly firstTsNs: bigint
  readonly lastTsNs: bigint
  readonly prevHmac: string
  readonly lastHmac: string
}
interface PackedLine extends LineBase {
  readonly kind: 'packed'
  readonly packed: Packed
}

const MAC_MEMBER = /,"mac":"([0-9a-f]{64})"\}$/
const HEX = /^[0-9a-f]{64}$/
/** A name without a folder, that no option or hidden file is. */
const FILE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$/

function parseLine(text: string): RolledLine | PackedLine | undefined {
  const mac = MAC_MEMBER.exec(text)?.[1]
  if (mac === undefined) return undefined
  const signed = `${text.slice(0, -74)}}`
  const json = parsed(signed)
  if (!(json instanceof Map)) return undefined
  const text_ = (name: string, shape: RegExp): string | undefined => {
    const value: unknown = json.get(name)
    return typeof value === 'string' && shape.test(value) ? value : undefined
  }
  const whole = (name: string): bigint | undefined => {
    const value: unknown = json.get(name)
    return typeof value === 'bigint' && value >= 0n && value <= MOST ? value : undefined
  }
  const keyId = text_('key_id', /^[A-Za-z0-9_.:-]{1,128}$/)
  const number = whole('segment')
  const bytes = whole('bytes')
  if (json.get('v') !== 1n || keyId === undefined || number === undefined || bytes === undefined) return undefined
  const base = { number: Number(number), keyId, mac, signed }
  switch (json.get('kind')) {
    case 'rolled': {
      const firstRow = whole('first_row')
      const rows = whole('rows')
      const firstTs = text_('first_ts_ns', TS)
      const lastTs = text_('last_ts_ns', TS)
      const prevHmac = text_('prev_hmac', /^(?:[0-9a-f]{64})?$/)
      const lastHmac = text_('last_hmac', HEX)
      if (firstRow === undefined || rows === undefined || rows === 0n || firstTs === undefined) return undefined
      if (lastTs === undefined || prevHmac === undefined || lastHmac === undefined || json.size !== 11) return undefined
      const times = { firstTsNs: BigInt(firstTs), lastTsNs: BigInt(lastTs) }
      return { ...base, kind: 'rolled', firstRow, rows, bytes: Number(bytes), ...times, prevHmac, lastHmac }
    }
    case 'packed': {
      const file = text_('file', FILE)
      const sha256 = text_('sha256', HEX)
      const rawSha256 = text_('raw_sha256', HEX)
      if (file === undefined || sha256 === undefined || rawSha256 === undefined || json.size !== 8) return undefined
      return { ...base, kind: 'packed', packed: { file, bytes: Number(bytes), sha256, rawSha256 } }
    }
    default:
      return undefined
  }
}

const MOST = 2n ** 53n - 1n
const TS = /^(?:0|[1-9][0-9]{0,19})$/

function parsed(text: string): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof JsonFault) return undefined
    throw error
  }
}
