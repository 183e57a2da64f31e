/** UUIDv7 (RFC 9562 5.7): sorts by time. */
export function uuid7(unixMs: bigint, random: (bytes: number) => Uint8Array): string {
  const b = Buffer.from(random(16))
  b.writeUIntBE(Number(unixMs & 0xffff_ffff_ffffn), 0, 6)
  b.writeUInt8((b.readUInt8(6) & 0x0f) | 0x70, 6)
  b.writeUInt8((b.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = b.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
