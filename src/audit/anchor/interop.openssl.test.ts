/** OpenSSL's own time-stamping authority and verifier, in both directions. Needs its program: apt-get install openssl. */
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openEgress } from '../../plugins/egress.ts'
import { NodeFolderFiles } from '../log/folder-files.ts'
import { openTransparencyLog } from '../log/open.ts'
import { makeRows, sourceOf } from '../log/testing/rows.test-support.ts'
import { logSigner } from '../log/testing/vectors.test-support.ts'
import { Timers } from '../testing/disk.test-support.ts'
import { Anchorer } from './anchorer.ts'
import { loadStamper } from './load.ts'
import { checkpointPath, listAnchors, stampPath } from './store.ts'
import { makeTsa, pemOf, respond, serveTsa } from './testing/tsa.test-support.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-openssl-'))
const at = (name: string) => join(folder, name)

function openssl(...args: readonly string[]): Buffer {
  return execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What its verifier says of files. */
function verified(data: string, response: string, root: string, ...more: readonly string[]): string {
  const { stdout, stderr } = spawnSync(
    'openssl',
    ['ts', '-verify', '-data', data, '-in', response, '-CAfile', root, ...more],
    { cwd: folder, encoding: 'utf8' },
  )
  return stdout + stderr
}

const CONFIG = `
[ req ]
distinguished_name = dn
prompt = no
[ dn ]
CN = OpenSSL Test
[ ca ]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[ tsa ]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ server ]
extendedKeyUsage = critical, serverAuth
[ tsa_config ]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = root.pem
signer_digest = DIGEST
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`

beforeAll(() => {
  if (spawnSync('openssl', ['version']).status !== 0)
    throw new Error('this suite needs the openssl program: apt-get install openssl')
  writeFileSync(at('ts.conf'), CONFIG.replace('DIGEST', 'sha256'))
  writeFileSync(at('ts512.conf'), CONFIG.replace('DIGEST', 'sha512'))
  writeFileSync(at('serial'), '01\n')
  const certificate = (name: string, subject: string, section: string, key: readonly string[], ca?: string) => {
    openssl(
      'req',
      '-new',
      '-nodes',
      ...key,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-config',
      'ts.conf',
      '-subj',
      subject,
    )
    const signing =
      ca === undefined ? ['-signkey', `${name}.key`] : ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial']
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.pem`,
      '-days',
      '30',
      '-extfile',
      'ts.conf',
      '-extensions',
      section,
      ...signing,
    )
  }
  certificate('root', '/CN=OpenSSL Test Root', 'ca', ['-newkey', 'rsa:2048'])
  certificate('tsa', '/CN=OpenSSL Test TSA', 'tsa', ['-newkey', 'rsa:2048'], 'root')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A real authority: `openssl ts -reply`, one run per request. */
async function startAuthority(config = 'ts.conf') {
  let next = 0
  return serveTsa(async request => {
    const name = `${config}-${next++}`
    writeFileSync(at(`${name}.tsq`), request)
    openssl(
      'ts',
      '-reply',
      '-queryfile',
      `${name}.tsq`,
      '-config',
      config,
      '-section',
      'tsa_config',
      '-out',
      `${name}.tsr`,
    )
    return readFileSync(at(`${name}.tsr`))
  })
}

describe('an authority run by OpenSSL', () => {
  it.each(['ts.conf', 'ts512.conf'])('stamps checkpoints that both verify (%s)', async config => {
    const authority = await startAuthority(config)
    const egress = openEgress()
    const path = at(`log-${config}.tlog`)
    const files = new NodeFolderFiles(path)
    const rows = makeRows(300)
    const timers = new Timers()
    const log = await openTransparencyLog({
      path,
      signer: await logSigner(),
      source: sourceOf(rows),
      rows: 0,
      intervalMs: 1000,
      later: timers.later,
    })
    const stamper = await loadStamper(readFileSync(at('root.pem'), 'utf8'))
    const looks = new Timers()
    const problems: string[] = []
    const anchored = Promise.withResolvers<void>()
    const anchorer = await Anchorer.open({
      urls: [authority.url],
      policy: '1.2.3.4.2',
      intervalMs: 3600_000,
      everyRows: 1,
      files,
      size: () => log.status.size,
      egress,
      stamper,
      nowMs: Date.now,
      random: randomBytes,
      later: looks.later,
      onState: (_, __, reason) => {
        problems.push(reason)
        anchored.resolve()
      },
    })
    for (const to of [7, 300]) {
      log.push(rows.slice(to === 7 ? 0 : 7, to))
      await log.reached(to - 1, 'logged')
      looks.fire()
      while (anchorer.busy) await new Promise(resolve => setImmediate(resolve))
    }
    expect(problems).toEqual([])
    const names = await listAnchors(files)
    expect(names.map(({ size }) => size)).toEqual([7, 300])
    for (const name of names) {
      const data = join(path, checkpointPath(name.size))
      const response = join(path, stampPath(name))
      const stamp = await stamper.verify(readFileSync(response), readFileSync(data), { nowMs: Date.now() })
      expect(stamp).toMatchObject({ authority: 'OpenSSL Test TSA', policy: '1.2.3.4.2' })
      expect(verified(data, response, at('root.pem'))).toContain('Verification: OK')
      expect(openssl('ts', '-reply', '-in', response, '-text').toString()).toContain('Policy OID: 1.2.3.4.2')
    }
    await anchorer.close()
    await log.close()
    await egress.close()
    await authority.close()
  })

  it('reads our requests as we meant them, and refuses what it does not do', async () => {
    const stamper = await loadStamper(readFileSync(at('root.pem'), 'utf8'))
    const { bytes, nonce } = await stamper.request(Buffer.from('data'), '1.2.3.4.2', randomBytes(16))
    writeFileSync(at('ours.tsq'), bytes)
    const text = openssl('ts', '-query', '-in', 'ours.tsq', '-text').toString()
    expect(text).toContain('Hash Algorithm: sha256')
    expect(text).toContain('Policy OID: 1.2.3.4.2')
    expect(text).toContain('Certificate required: yes')
    expect(text.toLowerCase().replace(/\s/g, '')).toContain(`nonce:0x${Buffer.from(nonce).toString('hex')}`)
    const other = await stamper.request(Buffer.from('data'), '1.9.9', randomBytes(16))
    writeFileSync(at('other.tsq'), other.bytes)
    openssl(
      'ts',
      '-reply',
      '-queryfile',
      'other.tsq',
      '-config',
      'ts.conf',
      '-section',
      'tsa_config',
      '-out',
      'other.tsr',
    )
    await expect(
      stamper.verify(readFileSync(at('other.tsr')), Buffer.from('data'), { nowMs: Date.now() }),
    ).rejects.toMatchObject({ code: 'rejected', message: expect.stringContaining('not supported') })
  })

  it('is believed by neither under another root, or for other bytes', async () => {
    const authority = await startAuthority()
    const stamper = await loadStamper(readFileSync(at('root.pem'), 'utf8'))
    const stranger = await makeTsa()
    writeFileSync(at('stranger.pem'), pemOf(stranger.root))
    writeFileSync(at('data'), 'data')
    writeFileSync(at('changed'), 'Data')
    writeFileSync(at('mine.tsq'), (await stamper.request(Buffer.from('data'), undefined, randomBytes(16))).bytes)
    openssl(
      'ts',
      '-reply',
      '-queryfile',
      'mine.tsq',
      '-config',
      'ts.conf',
      '-section',
      'tsa_config',
      '-out',
      'mine.tsr',
    )
    const response = readFileSync(at('mine.tsr'))
    expect(verified('data', 'mine.tsr', 'root.pem')).toContain('Verification: OK')
    expect(verified('data', 'mine.tsr', 'stranger.pem')).toContain('FAILED')
    expect(verified('changed', 'mine.tsr', 'root.pem')).toContain('FAILED')
    const now = { nowMs: Date.now() }
    await expect(stamper.verify(response, Buffer.from('data'), now)).resolves.toMatchObject({ policy: '1.2.3.4.1' })
    await expect(stamper.verify(response, Buffer.from('Data'), now)).rejects.toMatchObject({ code: 'imprint_wrong' })
    const elsewhere = await loadStamper(pemOf(stranger.root))
    await expect(elsewhere.verify(response, Buffer.from('data'), now)).rejects.toMatchObject({
      code: 'chain_untrusted',
    })
    await authority.close()
  })

  it("accepts the test authority's honest answers, and refuses the lies that ours refuses", async () => {
    const tsa = await makeTsa()
    const stamper = await loadStamper(pemOf(tsa.root))
    const { bytes } = await stamper.request(Buffer.from('data'), undefined, randomBytes(16))
    writeFileSync(at('data'), 'data')
    writeFileSync(at('tsa-root.pem'), pemOf(tsa.root))
    const said = async (lie: Parameters<typeof respond>[2]) => {
      writeFileSync(at('forged.tsr'), await respond(tsa, bytes, lie))
      return verified('data', 'forged.tsr', 'tsa-root.pem')
    }
    expect(await said({})).toContain('Verification: OK')
    expect(await said({ v1: true })).toContain('Verification: OK')
    for (const lie of [
      { imprint: new Uint8Array(32) },
      { names: 'nobody' as const },
      { names: await makeTsa() },
      { swapped: true },
      { signer: { certificate: tsa.certificate, key: (await makeTsa()).key } },
      { sends: [] },
      { status: 2, token: 'none' as const },
    ]) {
      expect([Object.keys(lie), await said(lie)]).toEqual([Object.keys(lie), expect.stringContaining('FAILED')])
    }
  })
})
