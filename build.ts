/**
 * The published JavaScript: what a start needs in a few files instead of two hundred, because finding, reading and linking
 * modules is much of a cold start. The entries are the package's exports and its program; what they share is in files of
 * its own in `dist/shared/`, so a class exists once, whether the program or a pipeline file imports it. Dependencies stay
 * where npm has put them. Types are made by `tsc`, file by file.
 */
import { chmodSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { build as buildPages } from 'vite'

const root = import.meta.dirname
const dist = join(root, 'dist')

/** What reads a command line and says how it ended: `signet --version` should load nothing else. */
const PROGRAM = [
  ...[
    'audit',
    'bench',
    'doctor',
    'escalations',
    'init',
    'keys',
    'lint',
    'log',
    'notify',
    'passkeys',
    'plugins',
    'policy',
    'receipt',
    'serve',
  ].map(c => `cli/commands/${c}`),
  ...['context', 'escape', 'failure', 'http', 'log-option', 'main', 'percentiles', 'pipeline-file', 'terminal'].map(
    f => `cli/${f}`,
  ),
  ...['env-file', 'paths', 'problem', 'version'].map(f => `config/${f}`),
  'audit/filter-fields',
].map(file => `${file}.ts`)
/** Not needed by every `serve`: what browsers import, what only other commands, other settings or other threads need. */
const APART = [
  'audit/anchor/',
  'audit/log/bytes.',
  'audit/log/check.',
  'audit/log/checkpoint.',
  'audit/log/cosignature.',
  'audit/log/errors.',
  'audit/log/index.',
  'audit/log/integrator-thread.',
  'audit/log/merkle.',
  'audit/log/note.',
  'audit/log/policy.',
  'audit/log/proof.',
  'audit/log/prove.',
  'audit/log/reader.',
  'audit/log/subtree.',
  'audit/log/tile.',
  'audit/archive',
  'audit/background-thread.',
  'audit/erasures',
  'audit/facts',
  'audit/fast-facts',
  'audit/import',
  'audit/index-',
  'audit/position',
  'audit/read',
  'audit/segments/move',
  'audit/segments/packer',
  'audit/thread-calls.',
  'audit/verify',
  'console/',
  'control/',
  'capability/verify',
  'checks/prompt-injection/probes',
  'cli/bin',
  'cli/commands',
  'cli/engine',
  'cli/lint-rules',
  'cli/load.',
  'cli/log-reader',
  'cli/log-sections',
  'cli/log-source',
  'cli/new-file',
  'cli/policy-',
  'cli/notices',
  'cli/receipt-',
  'cli/report',
  'cli/row-text',
  'cli/sealing-option',
  'cli/scaffold',
  'cli/verify-log',
  'cli/worker.',
  'clients/',
  'config/default-pipeline',
  'config/policy-table',
  'checks/testing',
  'escalation/assertion',
  'escalation/passkeys',
  'escalation/verify-evidence',
  'gate/redeem.ts',
  'identity/issuer',
  'identity/jwt',
  'index.ts',
  'plugins/discover',
  'plugins/index',
  'plugins/load',
  'plugins/package-file',
  'plugins/plain-text',
  'plugins/sandbox-preview',
  'plugins/tribunal',
  'jws/',
  'notify/notifier',
  'notify/rows',
  'notify/schedule',
  'notify/open',
  'notify/shown',
  'notify/slack/',
  'notify/email/',
  'notify/webhook/webhook',
  'receipt/',
  'state/escalations/sqlite-thread',
  'state/notices/',
  'state/passkeys/',
  'state/redemptions/sqlite',
  'state/redis/',
  'upstream/demo/',
]

const inSrc = (id: string): string | undefined => id.split(`${root}/src/`)[1]
const isProgram = (id: string): boolean => PROGRAM.includes(inSrc(id) ?? '')
const isServing = (id: string): boolean => {
  const file = inSrc(id)
  return file !== undefined && !APART.some(apart => file.startsWith(apart))
}

/** What the stores' threads load: a thread that loads the whole gate keeps a start waiting, and its memory. */
const STORES = [
  'core/memory-state.',
  'state/escalations/bounds.',
  'state/escalations/sqlite-file.',
  'state/private-database.',
  'state/store-thread.',
]
/** What the thread of the transparency log loads, likewise. */
const INTEGRATION = [
  'audit/files.',
  'audit/log/blocking-files.',
  'audit/log/folder-files.',
  'audit/log/folder.',
  'audit/log/growing.',
  'audit/log/integrator.',
  'audit/log/range.',
  'audit/log/restore.',
  'audit/log/sha256.',
  'audit/log/tree.',
]
const isIntegration = (id: string): boolean => INTEGRATION.some(start => inSrc(id)?.startsWith(start))
const isStore = (id: string): boolean => STORES.some(start => inSrc(id)?.startsWith(start))

const bundle = await rolldown({
  cwd: root,
  input: {
    index: 'src/index.ts',
    'receipt/index': 'src/receipt/index.ts',
    'audit/log/index': 'src/audit/log/index.ts',
    'escalation/verify-evidence': 'src/escalation/verify-evidence.ts',
    'clients/openai': 'src/clients/openai.ts',
    'clients/anthropic': 'src/clients/anthropic.ts',
    'clients/langchain': 'src/clients/langchain.ts',
    'clients/ai': 'src/clients/ai.ts',
    'cli/bin': 'src/cli/bin.ts',
    // The program of a worker process.
    'cli/worker': 'src/cli/worker.ts',
    // Loaded by their own paths, as worker threads.
    'audit/verify-parallel': 'src/audit/verify-parallel.ts',
    'audit/segments/packer': 'src/audit/segments/packer.ts',
    'audit/index-thread': 'src/audit/index-thread.ts',
    'audit/anchor/stamper-thread': 'src/audit/anchor/stamper-thread.ts',
    'audit/log/integrator-thread': 'src/audit/log/integrator-thread.ts',
    'audit/reading-thread': 'src/audit/reading-thread.ts',
    'state/escalations/sqlite-thread': 'src/state/escalations/sqlite-thread.ts',
    'state/notices/sqlite-thread': 'src/state/notices/sqlite-thread.ts',
    'state/passkeys/sqlite-thread': 'src/state/passkeys/sqlite-thread.ts',
    'state/redemptions/sqlite-thread': 'src/state/redemptions/sqlite-thread.ts',
  },
  platform: 'node',
  external: /^[^./]/,
  // What some commands load late, others need at once.
  checks: { ineffectiveDynamicImport: false },
  preserveEntrySignatures: 'allow-extension',
})

rmSync(dist, { recursive: true, force: true })
await bundle.write({
  dir: dist,
  format: 'esm',
  entryFileNames: '[name].js',
  // One folder deep, like the rooms: the code finds package.json at `../../`.
  chunkFileNames: 'shared/[name].js',
  sourcemap: true,
  minify: false,
  codeSplitting: {
    includeDependenciesRecursively: false,
    groups: [
      { name: 'program', test: isProgram, priority: 1 },
      { name: 'stores', test: isStore, priority: 1 },
      { name: 'integration', test: isIntegration, priority: 1 },
      { name: 'serving', test: isServing },
    ],
  },
})
await bundle.close()
// `npx signet` in a clone runs the file itself; npm sets the mode only where it installs the package.
chmodSync(join(dist, 'cli/bin.js'), 0o755)

// By itself, for executors run anywhere: what it shares with the gate must not bring the gate's Node modules along.
const executor = await rolldown({
  cwd: root,
  input: { 'capability/index': 'src/capability/index.ts' },
  platform: 'neutral',
  external: /^[^./]/,
})
await executor.write({ dir: dist, format: 'esm', entryFileNames: '[name].js', sourcemap: true, minify: false })
await executor.close()

// The console's pages, with names that hold a hash of what is in the files.
await buildPages({ configFile: join(root, 'src/console/vite.config.ts'), build: { outDir: join(dist, 'console') } })
