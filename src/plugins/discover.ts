/**
 * Which packages of a project offer checks. Discovery reads package.json files and runs no code; a check's code is loaded
 * only by `load` (the pipeline names it) or `doctor` (the operator asks).
 *
 * Guarantees: whatever a package writes, the list is made, in bounded time and memory, and its texts are safe to print.
 * Loading cannot be made safe in the same way: a plugin's code runs with all of this process's rights.
 */
import { readdir, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CHECK_ABI_VERSION } from '../core/check.ts'
import { type LoadedPlugin, PluginUnavailable, readExport } from './load.ts'
import { type Declared, readDeclarations, splitTarget } from './package-file.ts'
import { describeThrown, MAX_NAME, plainText } from './plain-text.ts'

export type PluginStatus = 'ok' | 'incompatible_abi' | 'duplicate_name' | 'load_error' | 'malformed'

/** One row of `signet plugins list --json`. */
export interface PluginRow {
  readonly group: 'signet.checks'
  readonly name: string
  readonly package: string
  readonly package_version: string
  /** `./file.js#Export`, below the package's folder. */
  readonly target: string
  readonly status: PluginStatus
  readonly abi_declared: number | string | null
  readonly abi_required: number
  readonly error: string | null
  /** The other packages (or `signet` itself) that use the name. */
  readonly duplicate_with: readonly string[]
}

/** `signet plugins doctor --json`. */
export interface PluginReport {
  readonly ok: boolean
  readonly duplicate_count: number
  readonly failed_count: number
  readonly duplicates: readonly {
    readonly group: string
    readonly name: string
    readonly packages: readonly string[]
  }[]
  /** Everything that is not `ok`, duplicates included. */
  readonly failed: readonly Pick<PluginRow, 'group' | 'name' | 'package' | 'status' | 'error'>[]
}

export interface PluginCatalogOptions {
  /** Names that signet's own checks use; a plugin of that name is a duplicate. */
  readonly builtInNames?: ReadonlySet<string>
  /** How long one package's code may take to load. Default 10000. */
  readonly loadLimitMs?: number
}

/** A bound on absurdity, not on projects. */
const MAX_PACKAGES = 20_000
const PACKAGE = /^(?:@[a-z0-9~_.-]+\/)?[A-Za-z0-9~_-][A-Za-z0-9~_.-]*$/

interface Found {
  readonly row: PluginRow
  readonly folder: string
}

export class PluginCatalog {
  readonly #modules: string
  readonly #builtIn: ReadonlySet<string>
  readonly #limitMs: number
  #found: Promise<readonly Found[]> | undefined

  constructor(projectFolder: string, options: PluginCatalogOptions = {}) {
    this.#modules = join(projectFolder, 'node_modules')
    this.#builtIn = options.builtInNames ?? new Set()
    this.#limitMs = options.loadLimitMs ?? 10_000
  }

  /** Read once; `refresh` reads again and gives a new list. */
  async list(): Promise<readonly PluginRow[]> {
    return (await this.#find()).map(found => found.row)
  }

  async refresh(): Promise<readonly PluginRow[]> {
    this.#found = undefined
    return this.list()
  }

  /** Runs the package's code. Rejects with `PluginUnavailable` that says which status stands in the way. */
  async load(name: string): Promise<LoadedPlugin> {
    const found = (await this.#find()).filter(one => one.row.name === name)
    const [first] = found
    const shown = plainText(name, MAX_NAME)
    if (first === undefined)
      throw new PluginUnavailable(
        'not_found',
        `no package in node_modules offers a check named ${shown}; npm install it first`,
      )
    if (first.row.status !== 'ok') throw new PluginUnavailable(first.row.status, `${shown}: ${first.row.error}`)
    return this.#load(first)
  }

  /** The list with every `ok` row's code loaded: a package that fails is a `load_error` row, and the next one is tried. */
  async doctor(): Promise<readonly PluginRow[]> {
    const rows: PluginRow[] = []
    for (const found of await this.#find()) {
      if (found.row.status !== 'ok') rows.push(found.row)
      else
        rows.push(
          await this.#load(found).then(
            () => found.row,
            (error: unknown) => ({ ...found.row, status: 'load_error' as const, error: describeThrown(error) }),
          ),
        )
    }
    return rows
  }

  #find(): Promise<readonly Found[]> {
    this.#found ??= findAll(this.#modules, this.#builtIn)
    return this.#found
  }

  async #load({ row, folder }: Found): Promise<LoadedPlugin> {
    const target = splitTarget(row.target)
    if (target === undefined) throw new PluginUnavailable('malformed', `${row.name}: no target`)
    let file: string
    try {
      file = await realpath(join(folder, target.file))
    } catch {
      throw new PluginUnavailable('load_error', `${row.name}: ${target.file} is not in the package ${row.package}`)
    }
    if (!file.startsWith((await realpath(folder)) + sep))
      throw new PluginUnavailable('load_error', `${row.name}: ${target.file} leads out of the package ${row.package}`)
    return readExport(row.name, pathToFileURL(file).href, target.exported, this.#limitMs)
  }
}

export function reportOf(rows: readonly PluginRow[]): PluginReport {
  const failed = rows.filter(row => row.status !== 'ok')
  const byName = Map.groupBy(
    rows.filter(row => row.status === 'duplicate_name'),
    row => row.name,
  )
  const duplicates = [...byName].map(([name, same]) => ({
    group: 'signet.checks',
    name,
    packages: [...new Set(same.flatMap(row => [row.package, ...row.duplicate_with]))].sort(),
  }))
  return {
    ok: failed.length === 0,
    duplicate_count: duplicates.length,
    failed_count: failed.length,
    duplicates,
    failed: failed.map(({ group, name, package: from, status, error }) => ({
      group,
      name,
      package: from,
      status,
      error,
    })),
  }
}

async function findAll(modules: string, builtIn: ReadonlySet<string>): Promise<readonly Found[]> {
  const declared: { readonly from: string; readonly folder: string; readonly one: Declared }[] = []
  for (const from of await packagesIn(modules)) {
    const folder = join(modules, from)
    for (const one of (await readDeclarations(join(folder, 'package.json'))) ?? []) declared.push({ from, folder, one })
  }
  // A malformed row claims no name; one for another ABI does, for the next release may take it.
  const claims = Map.groupBy(
    declared.filter(({ one }) => one.fault?.status !== 'malformed'),
    ({ one }) => one.name,
  )
  return declared.map(({ from, folder, one }) => {
    const others = one.fault?.status === 'malformed' ? [] : (claims.get(one.name) ?? []).map(same => same.from)
    const duplicateWith = [...(builtIn.has(one.name) ? ['signet'] : []), ...others.filter(other => other !== from)]
    return { folder, row: rowOf(from, one, duplicateWith) }
  })
}

function rowOf(from: string, one: Declared, duplicateWith: readonly string[]): PluginRow {
  const duplicate = duplicateWith.length > 0
  return {
    group: 'signet.checks',
    name: one.name,
    package: from,
    package_version: one.version,
    target: one.target,
    status: duplicate ? 'duplicate_name' : (one.fault?.status ?? 'ok'),
    abi_declared: one.abi,
    abi_required: CHECK_ABI_VERSION,
    error: duplicate
      ? `the name is also used by ${duplicateWith.join(', ')}: remove one of them, none is loaded`
      : (one.fault?.error ?? null),
    duplicate_with: duplicateWith,
  }
}

/** Folder names, scoped ones as `@scope/name`, sorted: the order must not depend on the file system. */
async function packagesIn(modules: string): Promise<readonly string[]> {
  const names: string[] = []
  for (const name of await foldersIn(modules))
    if (name.startsWith('@')) for (const inner of await foldersIn(join(modules, name))) names.push(`${name}/${inner}`)
    else names.push(name)
  return names
    .filter(name => name.length <= MAX_NAME && PACKAGE.test(name))
    .sort()
    .slice(0, MAX_PACKAGES)
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  // Links are how workspaces and pnpm install packages.
  return entries.filter(entry => entry.isDirectory() || entry.isSymbolicLink()).map(entry => entry.name)
}
