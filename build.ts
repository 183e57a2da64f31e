/**
 * The published JavaScript: what a start needs in a few files instead of two hundred, because finding, reading and linking
 * modules is much of a cold start. The entries are the package's exports and its program; what they share is in files of
 * its own in `dist/shared/`, so a class exists once, whether the program or a pipeline file imports it. Dependencies stay
 * where npm has put them. Types are made by `tsc`, file by file.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

const root = import.meta.dirname
const dist = join(root, 'dist')

/** What reads a command line and says how it ended: `signet --version` should load nothing else. */
const PROGRAM =
  /\/src\/(?:cli\/(?:commands\/(?:audit|bench|doctor|init|keys|lint|plugins|receipt|serve)|context|escape|failure|log-option|main|percentiles|pipeline-file|terminal)|config\/(?:env-file|paths|problem|version))\.ts$/
/** What every `serve` needs. Not in it: what browsers import, what only other commands or other settings need. */
const SERVING =
  /\/src\/(?:text|core|dialects|checks|keys|state|pipeline|audit|escalation|identity|upstream|config|gate|plugins|cli)\//
const APART =
  /\/src\/(?:audit\/(?:verify|segments\/(?:pack|move)|index|export|import|lines|layout|read|position|erasures)|identity\/(?:jwt|issuer)|upstream\/demo|plugins\/(?!egress)|state\/redis|checks\/prompt-injection\/probes|config\/default-pipeline|cli\/(?:bin|engine|commands|scaffold|load|lint-rules|http|report|sealing-option|verify-log|new-file|row-text))/

const bundle = await rolldown({
  cwd: root,
  input: {
    index: 'src/index.ts',
    'receipt/index': 'src/receipt/index.ts',
    'clients/openai': 'src/clients/openai.ts',
    'clients/anthropic': 'src/clients/anthropic.ts',
    'clients/langchain': 'src/clients/langchain.ts',
    'clients/ai': 'src/clients/ai.ts',
    'cli/bin': 'src/cli/bin.ts',
    // Loaded by their own paths, as worker threads.
    'audit/verify-parallel': 'src/audit/verify-parallel.ts',
    'audit/segments/packer': 'src/audit/segments/packer.ts',
    'audit/index-thread': 'src/audit/index-thread.ts',
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
      { name: 'program', test: PROGRAM, priority: 1 },
      { name: 'serving', test: id => SERVING.test(id) && !APART.test(id) },
    ],
  },
})
await bundle.close()
