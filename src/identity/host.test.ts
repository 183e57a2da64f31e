import { describe, expect, it } from 'vitest'
import { createListenerRule } from './host.ts'

const rule = createListenerRule({
  hosts: ['Gate.Example.com', '10.0.0.5', 'fd00::5'],
  origins: ['https://app.example.com', 'http://localhost:5173'],
})
const code = (headers: string[]) => rule(headers)?.code

describe('Host', () => {
  it.each([
    'localhost',
    'LOCALHOST:8443',
    '127.0.0.1',
    '127.0.0.1:1',
    '[::1]',
    '[::1]:8443',
    '[0:0:0:0:0:0:0:1]:8443',
    '[::ffff:127.0.0.1]',
    'gate.example.com',
    'GATE.example.com:443',
    '10.0.0.5:8443',
    '[fd00::5]',
  ])('%s is answered', host => {
    expect(code(['hOsT', host])).toBeUndefined()
  })

  it.each([
    ['rebound name', 'evil.example'],
    ['rebound name with our port', 'evil.example:8443'],
    ['our name as a part', 'localhost.evil.example'],
    ['our name at the end', 'evil-localhost'],
    ['a subdomain', 'x.gate.example.com'],
    ['userinfo', 'localhost@evil.example'],
    ['userinfo with our name', 'evil.example@localhost'],
    ['two names', 'localhost, evil.example'],
    ['a path', 'localhost/evil'],
    ['bare IPv6', '::1'],
    ['another loopback spelling', '127.1'],
    ['decimal loopback', '2130706433'],
    ['hexadecimal loopback', '0x7f000001'],
    ['trailing dot', 'localhost.'],
    ['bad port', 'localhost:abc'],
    ['empty port', 'localhost:'],
    ['long port', 'localhost:123456'],
    ['unspecified address', '0.0.0.0'],
    ['broken bracket', '[::1'],
    ['look-alike', 'l\u043ecalhost'],
    ['empty', ''],
  ])('%s is not', (_, host) => {
    expect(code(['Host', host])).toBe('host_not_allowed')
  })

  it('no Host is not, either', () => {
    expect(code([])).toBe('host_not_allowed')
  })

  it('the refusal does not repeat the name', () => {
    expect(JSON.stringify(rule(['Host', 'evil.example']))).not.toContain('evil')
  })
})

describe('Origin', () => {
  it.each([[[]], [['Origin', 'https://app.example.com']], [['ORIGIN', 'http://localhost:5173']]])(
    '%j is answered',
    headers => {
      expect(code(['Host', 'localhost:8443', ...headers])).toBeUndefined()
    },
  )

  it.each([
    'https://evil.example',
    'null',
    'http://app.example.com',
    'https://app.example.com:444',
    'https://app.example.com/',
    'https://app.example.com.evil.example',
    'https://APP.example.com',
    'http://localhost:8443',
    'http://localhost',
    'file://',
  ])('%s is not', origin => {
    expect(code(['Host', 'localhost:8443', 'Origin', origin])).toBe('origin_not_allowed')
  })

  it('a listener with pages of its own answers them, and no other port or name', () => {
    const own = createListenerRule({ sameOrigin: true })
    const at = (host: string, origin: string) => own(['Host', host, 'Origin', origin])?.code
    expect(at('localhost:8444', 'http://localhost:8444')).toBeUndefined()
    expect(at('LocalHost:8444', 'http://localhost:8444')).toBeUndefined()
    expect(at('127.0.0.1:8444', 'http://localhost:8444')).toBe('origin_not_allowed')
    expect(at('localhost:8444', 'http://localhost:3000')).toBe('origin_not_allowed')
    expect(at('localhost:8444', 'null')).toBe('origin_not_allowed')
    // DNS rebinding: Host and Origin agree, but the name is not ours.
    expect(at('evil.example:8444', 'http://evil.example:8444')).toBe('host_not_allowed')
  })
})

describe('settings', () => {
  it.each(['https://gate.example.com', 'gate.example.com:8443', '*', 'a b', '', 'gate/x'])(
    'host %j is refused',
    host => {
      expect(() => createListenerRule({ hosts: [host] })).toThrow(/^allowed hosts: /)
    },
  )

  it.each(['*', 'app.example.com', 'https://app.example.com/', 'https://APP.example.com', 'null', ''])(
    'origin %j is refused',
    origin => {
      expect(() => createListenerRule({ origins: [origin] })).toThrow(/^allowed origins: /)
    },
  )
})
