import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { PluginCatalog, type PluginCatalogOptions, reportOf } from './discover.ts'
import { adoptCheck, PluginUnavailable } from './load.ts'
import { describeThrown, plainText } from './plain-text.ts'

const root = mkdtempSync(join(tmpdir(), 'signet-plugins-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let project = ''
let count = 0
beforeEach(() => {
  project = join(root, `p${count++}`)
  mkdirSync(join(project, 'node_modules'), { recursive: true })
})

const CODE = `
export class MyCheck {
  priority = 5
  timeLimitMs = 100
  constructor(options) { this.name = options?.name ?? 'my_check' }
  describe() { return { stages: ['admission'] } }
  admit() { return { kind: 'allow' } }
}`

function install(name: string, json: unknown, files: Readonly<Record<string, string>> = {}): string {
  const folder = join(project, 'node_modules', name)
  const all = { ...files, 'package.json': typeof json === 'string' ? json : JSON.stringify(json) }
  for (const [file, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  return folder
}

const offering = (checks: unknown, abi: unknown = 1) => ({ version: '1.2.3', type: 'module', signet: { abi, checks } })
const good = (name = 'my_check') => offering({ [name]: './check.js#MyCheck' })
const catalog = (options: PluginCatalogOptions = {}) => new PluginCatalog(project, options)
const statuses = async () => (await catalog().list()).map(row => [row.package, row.name, row.status])

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(PluginUnavailable)
  return (error as PluginUnavailable).code
}

describe('discovery', () => {
  it('lists what packages, scoped ones too, declare, in a stable order', async () => {
    install('zeta', good('zeta_check'))
    install('@acme/signet-checks', offering({ a_check: './dist/a.js#A', b_check: './dist/b.mjs#B' }), {})
    install('express', { name: 'express', version: '5.0.0' })
    expect(await catalog().list()).toEqual([
      row('@acme/signet-checks', 'a_check', './dist/a.js#A'),
      row('@acme/signet-checks', 'b_check', './dist/b.mjs#B'),
      row('zeta', 'zeta_check', './check.js#MyCheck'),
    ])
  })

  function row(from: string, name: string, target: string) {
    return {
      group: 'signet.checks',
      name,
      package: from,
      package_version: '1.2.3',
      target,
      status: 'ok',
      abi_declared: 1,
      abi_required: 1,
      error: null,
      duplicate_with: [],
    }
  }

  it('runs no code, also of a package that would like it', async () => {
    install(
      'eager',
      { ...good(), main: './check.js', scripts: { postinstall: 'exit 1' } },
      {
        'check.js': "globalThis.signetTestRan = true; throw new Error('ran')",
        'index.js': 'globalThis.signetTestRan = true',
      },
    )
    expect(await statuses()).toEqual([['eager', 'my_check', 'ok']])
    expect(Reflect.get(globalThis, 'signetTestRan')).toBeUndefined()
  })

  it('is empty without node_modules', async () => {
    expect(await new PluginCatalog(join(root, 'nowhere')).list()).toEqual([])
  })

  it('follows the links by which workspaces are installed, and trusts the folder for the name of a package', async () => {
    const elsewhere = join(root, `w${count}`)
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'package.json'), JSON.stringify({ name: 'express', ...good() }))
    symlinkSync(elsewhere, join(project, 'node_modules', 'linked'))
    symlinkSync(join(root, 'dangling'), join(project, 'node_modules', 'gone'))
    expect(await statuses()).toEqual([['linked', 'my_check', 'ok']])
  })

  it('two packages with one name: neither is loaded, each names the other', async () => {
    install('one', good(), { 'check.js': CODE })
    install('two', good(), { 'check.js': CODE })
    install('three', good('other_check'), { 'check.js': CODE })
    const c = catalog()
    const rows = await c.list()
    expect(rows.map(({ package: from, status, duplicate_with }) => [from, status, duplicate_with])).toEqual([
      ['one', 'duplicate_name', ['two']],
      ['three', 'ok', []],
      ['two', 'duplicate_name', ['one']],
    ])
    expect(await codeOf(c.load('my_check'))).toBe('duplicate_name')
    expect(reportOf(rows)).toMatchObject({
      ok: false,
      duplicate_count: 1,
      failed_count: 2,
      duplicates: [{ group: 'signet.checks', name: 'my_check', packages: ['one', 'two'] }],
    })
  })

  it('a plugin cannot take the name of a built-in check', async () => {
    install('one', good('rate_limit'), { 'check.js': CODE })
    const c = catalog({ builtInNames: new Set(['rate_limit']) })
    expect(await c.list()).toMatchObject([{ status: 'duplicate_name', duplicate_with: ['signet'] }])
    expect(await codeOf(c.load('rate_limit'))).toBe('duplicate_name')
  })

  it.each([undefined, null, 0, 2, -1, 1.5, '1', true, [1], { valueOf: 1 }])(
    'ABI %j is not the one of this signet: visible, and not loaded',
    async abi => {
      const json = offering({ my_check: './check.js#MyCheck' })
      install(
        'old',
        abi === undefined ? { ...json, signet: { checks: json.signet.checks } } : offering(json.signet.checks, abi),
        {
          'check.js': "throw new Error('ran')",
        },
      )
      const c = catalog()
      const [only] = await c.list()
      expect(only).toMatchObject({ status: 'incompatible_abi', abi_required: 1 })
      expect(only?.abi_declared).not.toBe(1)
      expect(await codeOf(c.load('my_check'))).toBe('incompatible_abi')
    },
  )

  it.each<[string, unknown]>([
    ['a list', { signet: [] }],
    ['no checks', { signet: { abi: 1 } }],
    ['checks that are a list', offering(['./a.js#A'])],
    ['a name with capitals', offering({ MyCheck: './a.js#A' })],
    ['an empty name', offering({ '': './a.js#A' })],
    ['a name of another script', offering({ 'm\u0443_check': './a.js#A' })],
    ['a very long name', offering({ ['a'.repeat(300)]: './a.js#A' })],
    ['a target that is a number', offering({ a: 1 })],
    ['a target without export', offering({ a: './a.js' })],
    ['a target outside the package', offering({ a: './../evil/a.js#A' })],
    ['a target outside, further in', offering({ a: './dist/../../evil.js#A' })],
    ['an absolute target', offering({ a: '/etc/a.js#A' })],
    ['a URL', offering({ a: 'data:text/javascript,x#A' })],
    ['a package name', offering({ a: 'evil#A' })],
    ['a backslash', offering({ a: '.\\a.js#A' })],
    ['an escaped dot', offering({ a: './%2e%2e/a.js#A' })],
    ['another kind of file', offering({ a: './a.node#A' })],
    ['an export that is an expression', offering({ a: './a.js#A()' })],
    ['a very long target', offering({ a: `./${'a/'.repeat(2000)}a.js#A` })],
    ['a thousand checks', offering(Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`c${n}`, './a.js#A'])))],
    ['JSON that breaks off', '{"signet":{"abi":1,'],
    ['JSON that is a list', '["signet"]'],
  ])('%s is malformed, and does not hide the next package', async (_, json) => {
    install('bad', json)
    install('good', good(), { 'check.js': CODE })
    const rows = await catalog().list()
    expect(rows.map(found => [found.package, found.status])).toEqual([
      ['bad', 'malformed'],
      ['good', 'ok'],
    ])
    expect(JSON.stringify(rows).length).toBeLessThan(5000)
  })

  it('names of object internals are names like any other', async () => {
    install('odd', '{"signet":{"abi":1,"checks":{"__proto__":"./a.js#A","constructor":"./a.js#A"}}}')
    expect(await statuses()).toEqual([
      ['odd', '__proto__', 'malformed'],
      ['odd', 'constructor', 'ok'],
    ])
    expect(await codeOf(catalog().load('toString'))).toBe('not_found')
  })

  it('texts of a package are bounded and cannot steer a terminal', async () => {
    install('ansi', {
      version: `\u001b[2J\u202e${'9'.repeat(5000)}`,
      signet: { abi: '\u001b]0;x\u0007', checks: { ['\u001b[31mred\u009b']: `./${'\u2066'.repeat(5000)}` } },
    })
    const rows = await catalog().list()
    const text = rows.flatMap(found => Object.values(found)).join(' ')
    expect(text).toContain('\\x1b[31mred\\x9b')
    expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
    expect(text.length).toBeLessThan(4000)
  })

  it('a pipe, a folder or a giant in place of package.json is passed over', async () => {
    const pipe = join(project, 'node_modules', 'pipe')
    mkdirSync(pipe)
    execFileSync('mkfifo', [join(pipe, 'package.json')])
    mkdirSync(join(project, 'node_modules', 'folder', 'package.json'), { recursive: true })
    install('giant', `{"signet":{},"pad":"${'x'.repeat(2_000_000)}"}`)
    install('good', good())
    expect(await statuses()).toEqual([['good', 'my_check', 'ok']])
  })

  it('is done once; refresh gives a new list', async () => {
    const c = catalog()
    const first = await c.list()
    install('late', good())
    expect(await c.list()).toEqual(first)
    expect(await c.refresh()).toHaveLength(1)
    expect(first).toHaveLength(0)
  })
})

describe('loading', () => {
  it('makes the check with the options given, and only when asked', async () => {
    install('one', good(), { 'check.js': CODE })
    const plugin = await catalog().load('my_check')
    const check = plugin.make()
    expect(check).toMatchObject({ name: 'my_check', priority: 5, timeLimitMs: 100 })
    expect(check.describe()).toEqual({ name: 'my_check', stages: ['admission'] })
    expect(check.admit?.({} as never, {} as never)).toEqual({ kind: 'allow' })
    expect(check.commit).toBeUndefined()
    expect(Object.isFrozen(check)).toBe(true)
    expect(() => plugin.make({ name: 'rate_limit' })).toThrow('calls itself rate_limit')
  })

  it.each<[string, string]>([
    ['throws an error', "throw new Error('\\u001b[31mboom')"],
    ['throws a string of 10 MB', "throw 'x'.repeat(10_000_000)"],
    ['throws null', 'throw null'],
    ['throws a Proxy whose traps throw', "throw new Proxy({}, new Proxy({}, { get() { throw new Error('trap') } }))"],
    ['throws an object with a throwing getter', "throw { get message() { throw new Error('getter') } }"],
    [
      'throws an object with a throwing toString',
      "throw { toString() { throw new Error('x') }, [Symbol.toPrimitive]() { throw 1 } }",
    ],
    [
      'throws an error with a message that is no string',
      'throw Object.assign(new Error(), { message: { toString() { throw 1 } } })',
    ],
    ['does not parse', 'export class {'],
    ['imports what is not there', "import 'not-installed-anywhere'"],
    ['never ends', 'await new Promise(() => {}); export class MyCheck {}'],
    ['has a then that never calls back', 'export class MyCheck {}; export function then() {}'],
    ['has no such export', 'export class Other {}'],
    ['exports an object', 'export const MyCheck = {}'],
    ['exports nothing but a default', 'export default class MyCheck {}'],
  ])('code that %s is a load_error, and the next package still loads', async (_, code) => {
    install('bad', good(), { 'check.js': code })
    install('good', good('good_check'), { 'check.js': CODE })
    const c = catalog({ loadLimitMs: 300 })
    const rows = await c.doctor()
    expect(rows.map(found => [found.package, found.status])).toEqual([
      ['bad', 'load_error'],
      ['good', 'ok'],
    ])
    expect(rows[0]?.error?.length).toBeLessThan(1200)
    expect(rows[0]?.error).not.toContain('\u001b')
    expect(reportOf(rows)).toMatchObject({ ok: false, duplicate_count: 0, failed_count: 1 })
    expect(await codeOf(c.load('my_check'))).toBe('load_error')
    // What discovery itself knows is unchanged.
    expect((await c.list())[0]?.status).toBe('ok')
  })

  it.each<[string, string]>([
    [
      'is a Proxy whose traps throw',
      "export const MyCheck = new Proxy(class {}, new Proxy({}, { get() { throw new Error('trap') } }))",
    ],
    [
      'answers for instanceof, and throws a getter when it is made',
      'export class MyCheck { static [Symbol.hasInstance]() { throw 1 } constructor() { throw { get message() { throw 2 } } } }',
    ],
    [
      'makes an object whose toPrimitive and tags throw',
      'export class MyCheck { get name() { return this } [Symbol.toPrimitive]() { throw 1 } get [Symbol.toStringTag]() { throw 2 } }',
    ],
  ])('an export that %s makes no check, and says so shortly', async (_, code) => {
    install('bad', good(), { 'check.js': code })
    const plugin = await catalog().load('my_check')
    let thrown: unknown
    try {
      plugin.make()
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(PluginUnavailable)
    expect(String(thrown).length).toBeLessThan(1300)
  })

  it('a file that is missing, or a link out of the package, is not loaded', async () => {
    install('missing', good('a_check'))
    const folder = install('linked', good('b_check'))
    writeFileSync(join(project, 'outside.js'), "throw new Error('ran')")
    symlinkSync(join(project, 'outside.js'), join(folder, 'check.js'))
    const rows = await catalog().doctor()
    expect(rows.map(found => found.error)).toEqual([
      'b_check: ./check.js leads out of the package linked',
      'a_check: ./check.js is not in the package missing',
    ])
  })

  it('doctor is content with a sound installation', async () => {
    install('one', good(), { 'check.js': CODE })
    expect(reportOf(await catalog().doctor())).toEqual({
      ok: true,
      duplicate_count: 0,
      failed_count: 0,
      duplicates: [],
      failed: [],
    })
  })
})

describe('hostile checks', () => {
  const sound = { name: 'c', priority: 0, timeLimitMs: 1, describe: () => ({}), admit: () => ({ kind: 'allow' }) }

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a string', 'c'],
    ['another name', { ...sound, name: 'owner_resolution' }],
    ['a name that only looks like a string', { ...sound, name: Object('c') }],
    ['a name of 10 MB', { ...sound, name: 'x'.repeat(10_000_000) }],
    ['a priority that is NaN', { ...sound, priority: Number.NaN }],
    ['a priority that only looks like a number', { ...sound, priority: { valueOf: () => 1 } }],
    ['a time limit without end', { ...sound, timeLimitMs: Number.POSITIVE_INFINITY }],
    ['no time limit', { ...sound, timeLimitMs: 0 }],
    ['a shadow that is a word', { ...sound, shadow: 'yes' }],
    ['no describe', { ...sound, describe: undefined }],
    ['a hook that is no function', { ...sound, admit: true }],
    ['a shareState that is no function', { ...sound, shareState: 'yes' }],
    ['no hook', { ...sound, admit: undefined }],
    [
      'a getter that throws',
      Object.defineProperty({ ...sound }, 'priority', {
        get: () => {
          throw new Error('x'.repeat(10_000_000))
        },
      }),
    ],
    [
      'a Proxy whose traps throw',
      new Proxy(sound, {
        get: () => {
          throw new Proxy(
            {},
            {
              getPrototypeOf: () => {
                throw 1
              },
            },
          )
        },
      }),
    ],
  ])('%s is refused with a short message', (_, plugin) => {
    let message = ''
    try {
      adoptCheck(plugin, 'c')
    } catch (error) {
      expect(error).toBeInstanceOf(PluginUnavailable)
      message = String(error)
    }
    expect(message).not.toBe('')
    expect(message.length).toBeLessThan(1300)
  })

  it('are read once: what changes afterwards changes nothing', () => {
    let reads = 0
    const shifty = {
      ...sound,
      get name() {
        return reads++ === 0 ? 'c' : 'owner_resolution'
      },
    }
    const check = adoptCheck(shifty, 'c')
    shifty.admit = () => ({ kind: 'block' })
    shifty.priority = -1
    expect([check.name, check.name, check.priority]).toEqual(['c', 'c', 0])
    expect(check.admit?.({} as never, {} as never)).toEqual({ kind: 'allow' })
    expect(reads).toBe(1)
  })

  it('keep their own state: hooks run with the plugin as `this`', () => {
    class Counting {
      readonly name = 'c'
      readonly priority = 0
      readonly timeLimitMs = 1
      seen = 0
      describe() {
        return { seen: this.seen }
      }
      admit() {
        this.seen++
        return { kind: 'allow' }
      }
    }
    const check = adoptCheck(new Counting(), 'c')
    void check.admit?.({} as never, {} as never)
    expect(check.describe()).toEqual({ name: 'c', seen: 1 })
  })

  it('are handed shared state, when they ask for it', () => {
    class Limiting {
      readonly name = 'c'
      readonly priority = 0
      readonly timeLimitMs = 1
      handed: unknown
      describe() {
        return { shared: this.handed !== undefined }
      }
      shareState(shared: unknown) {
        this.handed = shared
      }
      admit() {
        return { kind: 'allow' }
      }
    }
    const check = adoptCheck(new Limiting(), 'c')
    check.shareState?.({} as never)
    expect(check.describe()).toEqual({ name: 'c', shared: true })
    expect('shareState' in adoptCheck(sound, 'c')).toBe(false)
  })

  it('name executors, and nothing else, for capabilities', () => {
    const naming = (audience: unknown) => adoptCheck({ ...sound, audience }, 'c').audience
    const own = {
      any: true,
      name: 'https://pay.example',
      of: (tool: string) => (tool === 'pay' ? own.name : undefined),
    }
    expect([naming(own)?.any, naming(own)?.of('pay'), naming(own)?.of('other')]).toEqual([true, own.name, undefined])
    for (const wrong of ['', 5, null, {}])
      expect(() => naming({ any: true, of: () => wrong })?.of('pay')).toThrow('non-empty')
    for (const wrong of ['x', null, {}, { any: true }, { any: 1, of: () => '' }])
      expect(() => naming(wrong)).toThrow('audience')
    expect('audience' in adoptCheck(sound, 'c')).toBe(false)
  })

  it('demand an assurance, and nothing that is none or above what they announced', () => {
    const demanding = (assurance: unknown) => adoptCheck({ ...sound, assurance }, 'c').assurance
    const levels: Record<string, unknown> = { pay: 'witnessed', read: 'durable' }
    const own = { highest: 'witnessed', levels, of: (tool: string) => own.levels[tool] ?? 'logged' }
    const taken = demanding(own)
    expect([taken?.highest, taken?.of('pay'), taken?.of('read'), taken?.of('x')]).toEqual([
      'witnessed',
      'witnessed',
      'durable',
      'logged',
    ])
    for (const wrong of ['witnessed', 'certain', '', 5, null, undefined])
      expect(() => demanding({ highest: 'logged', of: () => wrong })?.of('pay')).toThrow('at most logged')
    for (const wrong of ['logged', null, {}, { highest: 'logged' }, { highest: 'certain', of: () => 'durable' }])
      expect(() => demanding(wrong)).toThrow('assurance')
    expect('assurance' in adoptCheck(sound, 'c')).toBe(false)
  })

  it('demand passkeys of approvers, and nothing that is no demand or was not announced', () => {
    const demanding = (approverAuth: unknown) => adoptCheck({ ...sound, approverAuth }, 'c').approverAuth
    const own = { any: true, tools: ['pay'], of: (tool: string) => (own.tools.includes(tool) ? 'passkey' : undefined) }
    const taken = demanding(own)
    expect([taken?.any, taken?.of('pay'), taken?.of('read')]).toEqual([true, 'passkey', undefined])
    for (const wrong of ['any', '', 5, null, true])
      expect(() => demanding({ any: true, of: () => wrong })?.of('pay')).toThrow('approverAuth')
    expect(() => demanding({ any: false, of: () => 'passkey' })?.of('pay')).toThrow('announce')
    for (const wrong of ['passkey', null, {}, { any: true }, { any: 'yes', of: () => 'passkey' }])
      expect(() => demanding(wrong)).toThrow('approverAuth')
    expect('approverAuth' in adoptCheck(sound, 'c')).toBe(false)
  })

  it('say that they can hold calls for a human, and what they want of snapshots', () => {
    for (const more of [{ canEscalate: true }, { canEscalate: false }, { snapshots: 'hits' }, { snapshots: 'none' }])
      expect(adoptCheck({ ...sound, ...more }, 'c')).toMatchObject(more)
    expect(() => adoptCheck({ ...sound, canEscalate: 'yes' }, 'c')).toThrow('canEscalate')
    expect(() => adoptCheck({ ...sound, snapshots: 'some' }, 'c')).toThrow('snapshots')
    for (const absent of ['canEscalate', 'snapshots']) expect(absent in adoptCheck(sound, 'c')).toBe(false)
  })

  it('cannot describe themselves as another check, as something endless, or as no JSON', () => {
    const describing = (value: unknown) => adoptCheck({ ...sound, describe: () => value }, 'c').describe()
    expect(describing({ name: 'owner_resolution', toJSON: undefined })).toEqual({ name: 'c' })
    const loop: Record<string, unknown> = {}
    loop['loop'] = loop
    for (const value of [undefined, null, 'x', [], () => {}, loop, { pad: 'x'.repeat(100_000) }, { n: 1n }])
      expect(() => describing(value)).toThrow()
  })
})

describe('text of strangers', () => {
  it('is bounded before it is looked at, and shows its controls', () => {
    expect(plainText('x'.repeat(50_000_000))).toHaveLength(1024)
    expect(plainText('a\tb\u0000\u007f\u0085\u2028\ufeff\u{e0041}\ud800')).toBe(
      'a\\x09b\\x00\\x7f\\x85\\u2028\\ufeff\\u{e0041}\\ud800',
    )
    expect(plainText('Grüße, 世界 👋')).toBe('Grüße, 世界 👋')
    expect(plainText('\u0000'.repeat(5000)).length).toBeLessThanOrEqual(1024)
  })

  it('is never asked to turn itself into a string', () => {
    const hostile = { toString: () => expect.unreachable(), [Symbol.toPrimitive]: () => expect.unreachable() }
    for (const value of [hostile, Object('x'), () => {}, 1, null, [], Symbol('x')])
      expect(plainText(value)).toMatch(/^\(\w+\)$/)
    expect(describeThrown(hostile)).toBe('an object without a message')
    expect(describeThrown(new Proxy({}, { getOwnPropertyDescriptor: () => expect.unreachable() }))).toBe('a Proxy')
    expect(describeThrown(new Error('why'))).toBe('why')
  })
})
