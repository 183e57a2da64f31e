/**
 * A whole gate with its console, served as `signet serve` serves it, and Chromium: what the suites of the console stand on.
 * The pages are built once into a temporary folder; screenshots are kept in `test/console/screenshots/`.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import OpenAI from 'openai'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { type Serving, startServing } from '../../src/cli/serving.ts'
import { definePipeline } from '../../src/config/pipeline.ts'
import { resolveSettings } from '../../src/config/resolve.ts'
import type { SettingsInput } from '../../src/config/setting-table.ts'
import { fromPipeline } from '../../src/config/settings.ts'
import { newApiKey } from '../../src/identity/api-key.ts'
import type { JwtIssuer } from '../../src/identity/jwt-issuer.ts'
import { systemRandom } from '../../src/state/system.ts'
import { DEMO_REGISTRY, demoChecks, scenario } from '../support/gate.ts'

export const PEOPLE = {
  viewer: 'human:vera@example.com',
  approver: 'human:bob@example.com',
  second: 'human:carol@example.com',
  admin: 'human:ada@example.com',
} as const
export type Who = keyof typeof PEOPLE

export const PAY = 'https://pay.example'
export const OWNER = 'human:alice@example.com'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const ROOT = resolve(import.meta.dirname, '../..')
const SCREENSHOTS = join(import.meta.dirname, 'screenshots')

export interface ConsoleStand {
  readonly serving: Serving
  readonly control: string
  readonly browser: BrowserContext
  readonly logPath: string
  token(who: Who): string
  /** A page that is signed in, by writing into its form. */
  signedIn(who: Who): Promise<Page>
  /** `at`: another name for the same listener. */
  open(fragment?: string, at?: string): Promise<Page>
  /** Whatever the pages wrote to their consoles, or tried to load from elsewhere: nothing is expected. */
  readonly complaints: readonly string[]
  /** Forgets what was complained of since there were so many. */
  forgive(from: number): void
  openai(owner?: string): OpenAI
  /** Lets the demo model propose these calls; the answer waits for a human where it must. */
  ask(
    calls: readonly { readonly name: string; readonly arguments: string }[],
    owner?: string,
  ): Promise<OpenAI.ChatCompletion>
  shot(page: Page, name: string): Promise<void>
  api(who: Who, path: string, init?: RequestInit): Promise<Response>
  /** Resolves when so many escalations wait. */
  waiting(n: number): Promise<readonly { readonly id: string }[]>
  close(): Promise<void>
}

/** `issuer`: where pages may send the browser, and whose tokens count. */
export async function startConsole(more: SettingsInput = {}, issuer?: JwtIssuer): Promise<ConsoleStand> {
  if (!existsSync(CHROMIUM)) throw new Error(`the console's suites need ${CHROMIUM}: apt-get install -y chromium`)
  const folder = mkdtempSync(join(tmpdir(), 'signet-console-'))
  const consoleFolder = join(folder, 'pages')
  await build({ configFile: join(ROOT, 'src/console/vite.config.ts'), build: { outDir: consoleFolder } })
  const random = systemRandom()
  const keys = Object.fromEntries(Object.keys(PEOPLE).map(who => [who, newApiKey(n => random.bytes(n))]))
  const inspector = new ToolCallInspectorCheck({
    registry: {
      ...DEMO_REGISTRY,
      issue_refund: { riskTier: 'high', irreversible: true, audience: PAY },
      // Without an executor: any arguments, also ones that readers may read differently.
      wire_money: { riskTier: 'high', irreversible: true },
    },
  })
  const checks = [...demoChecks().filter(c => c.name !== inspector.name), inspector]
  const settings: SettingsInput = {
    upstreamUrl: 'demo',
    port: 0,
    controlPort: 0,
    auditLogPath: join(folder, 'audit.jsonl'),
    transparencyLog: true,
    transparencyLogOrigin: 'log.example.com/signet',
    checkpointIntervalS: 1,
    onEscalate: 'hold',
    strictErrorRedaction: false,
    approvers: [PEOPLE.approver, PEOPLE.second],
    approvalQuorum: 1,
    viewers: [PEOPLE.viewer],
    admins: [PEOPLE.admin],
    controlIdentity: {
      apiKey: {
        keys: Object.entries(PEOPLE).map(([who, owner]) => ({ hash: keys[who]?.hash ?? '', owner })),
      },
      ...(issuer === undefined ? {} : { jwt: { issuers: [issuer] } }),
    },
    ...more,
  }
  const serving = await startServing(
    resolveSettings([fromPipeline(settings, 'pipeline.ts')], true),
    definePipeline({ checks, ...settings }),
    { folder, file: undefined, variables: {}, consoleFolder },
  )
  const browser = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: CHROMIUM,
    headless: true,
    args: FLAGS,
    viewport: { width: 1360, height: 860 },
    reducedMotion: 'reduce',
  })
  const control = serving.controlUrl ?? ''
  const complaints: string[] = []
  const open = async (fragment = '', at = control): Promise<Page> => {
    const page = await browser.newPage()
    page.on('console', message => {
      // What the API refuses is answered with its status, which Chromium notes.
      if (!message.text().startsWith('Failed to load resource')) complaints.push(`${message.type()}: ${message.text()}`)
    })
    page.on('pageerror', error => complaints.push(`error: ${error.message}`))
    page.on('request', request => {
      // Only the browser goes to the issuer, as a whole; nothing of the page does.
      const leaves = request.isNavigationRequest() && issuer !== undefined && request.url().startsWith(issuer.issuer)
      if (new URL(request.url()).origin !== at && !request.url().startsWith('blob:') && !leaves)
        complaints.push(`request: ${request.url()}`)
    })
    await page.goto(`${at}/console/${fragment}`)
    return page
  }
  const api: ConsoleStand['api'] = (who, path, init = {}) =>
    fetch(`${control}${path}`, { ...init, headers: { authorization: `Bearer ${keys[who]?.key ?? ''}` } })
  const openai = (owner = OWNER): OpenAI =>
    new OpenAI({
      apiKey: 'unused',
      baseURL: `${serving.url}/v1`,
      defaultHeaders: owner.startsWith('agent:') ? { 'X-Agent-Id': owner } : { 'X-Commit-Owner': owner },
      maxRetries: 0,
    })
  return {
    serving,
    control,
    browser,
    logPath: settings.auditLogPath ?? '',
    complaints,
    forgive: from => void complaints.splice(from),
    open,
    api,
    openai,
    token: who => keys[who]?.key ?? '',
    async signedIn(who) {
      const page = await open()
      await page.getByLabel('Token').fill(keys[who]?.key ?? '')
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
      return page
    },
    ask: (calls, owner) =>
      openai(owner).chat.completions.create({
        ...(scenario(
          { kind: 'call', calls },
          { tools: [...new Set(calls.map(c => c.name))].map(name => ({ type: 'function', function: { name } })) },
        ) as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming),
      }),
    async shot(page, name) {
      mkdirSync(SCREENSHOTS, { recursive: true })
      await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
    },
    async waiting(n) {
      for (let looks = 0; ; looks++) {
        const res = await api('viewer', '/api/v1/escalations?state=pending')
        const { escalations } = (await res.json()) as { readonly escalations: readonly { readonly id: string }[] }
        if (escalations.length >= n) return escalations
        if (looks > 400) throw new Error(`${escalations.length} escalations wait, not ${n}`)
        // Held when its row is durable: a few turns later.
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    },
    async close() {
      await browser.close()
      await serving.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
