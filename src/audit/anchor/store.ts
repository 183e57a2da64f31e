/**
 * Anchors in the folder of their log: `anchors/<size>.checkpoint`, the exact bytes that were stamped, and
 * `anchors/<size>.<authority>.tsr`, the response as it came. Both complete or absent, never replaced by other bytes.
 */
import { same } from '../log/bytes.ts'
import type { FolderFiles } from '../log/folder-files.ts'
import { keepFile } from '../log/kept-file.ts'
import { AnchorInvalid } from './errors.ts'

const FOLDER = 'anchors'
const STAMP = /^(0|[1-9][0-9]{0,15})\.([a-z0-9._-]{1,200})\.tsr$/

export interface AnchorName {
  readonly size: number
  /** Of which authority: its host, and its port where it is not the usual one. */
  readonly authority: string
}

export interface StoredAnchor extends AnchorName {
  /** `undefined`: the file is missing. */
  readonly checkpoint: Uint8Array | undefined
  readonly response: Uint8Array
}

export function authorityOf(url: string): string {
  return new URL(url).host.toLowerCase().replace(/[^a-z0-9.-]/g, '_')
}

/** By size, then authority. */
export async function listAnchors(files: FolderFiles): Promise<readonly AnchorName[]> {
  const found = (await files.list(FOLDER)).flatMap(name => {
    const [, size, authority] = STAMP.exec(name) ?? []
    return size === undefined || authority === undefined ? [] : [{ size: Number(size), authority }]
  })
  return found.sort((a, b) => a.size - b.size || (a.authority < b.authority ? -1 : 1))
}

export async function readAnchor(files: FolderFiles, name: AnchorName): Promise<StoredAnchor> {
  const response = await files.read(stampPath(name))
  if (response === undefined) throw new AnchorInvalid('malformed', `${stampPath(name)} cannot be read`)
  return { ...name, response, checkpoint: await files.read(checkpointPath(name.size)) }
}

/** The checkpoint first: a response without it would prove nothing. */
export async function keepAnchor(
  files: FolderFiles,
  name: AnchorName,
  checkpoint: Uint8Array,
  response: Uint8Array,
): Promise<void> {
  await keepOnce(files, checkpointPath(name.size), checkpoint)
  await keepOnce(files, stampPath(name), response)
}

export function stampPath({ size, authority }: AnchorName): string {
  return `${FOLDER}/${size}.${authority}.tsr`
}

export function checkpointPath(size: number): string {
  return `${FOLDER}/${size}.checkpoint`
}

async function keepOnce(files: FolderFiles, path: string, bytes: Uint8Array): Promise<void> {
  const found = await files.read(path)
  if (found === undefined) await keepFile(files, path, bytes)
  else if (!same(found, bytes))
    throw new AnchorInvalid('conflict', `${path} holds something else; an anchor is never replaced, look at both`)
}
