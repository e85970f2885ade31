// Hosts that hang, answer megabytes or lie, stores and key directories that cannot be trusted: a clear refusal, and others unharmed.
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { didHost, type Hosted } from '../support/did-host.ts'
import { assertionClaims, compactJwt, holder, keyHolder, nodeKey, signerOf } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured } from '../support/secured.ts'
import { freePort } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, openSocket, type Answer } from '../support/wire.ts'

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

describe('a host of documents', () => {
  const big = `{"id":"${'a'.repeat(100_000)}"}`
  const hosts: Record<string, Hosted> = {
    'hangs before it answers': () => {},
    'hangs in the middle': (res) => void res.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 }).write('{'),
    'breaks off': (res) => {
      res.writeHead(200, { 'content-length': 1000 }).write('{')
      res.destroy()
    },
    redirects: (res) => void res.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
    'answers too much': (res) => void res.end(big),
    'says that it answers too much': (res) => void res.writeHead(200, { 'content-length': 10 ** 9 }).write('{'),
    'answers without an end': (res) => {
      const more = setInterval(() => res.write('a'.repeat(10_000)), 1)
      res.once('close', () => clearInterval(more))
    },
    'is compressed': (res) => void res.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.from('1f8b', 'hex')),
    'answers something else': (res) => void res.end('<html>'),
    'answers nothing': (res) => void res.end(),
    'answers a list': (res) => void res.end('[]'),
    'answers a very deep document': (res) => void res.end(`${'['.repeat(30_000)}${']'.repeat(30_000)}`),
    'is broken': 500,
    'has moved on': 410,
    'has never heard of it': 404,
  }
  test.each(Object.entries(hosts))('that %s proves nobody, and makes nobody else wait', async (_name, hosted) => {
    const host = await forThisTest(didHost())
    const [ann, bob] = [host.identity('ann'), keyHolder()]
    const s = await secured({ trusted: [ann.did, bob.did] })
    host.host('ann', hosted)
    const asked = (async () => s.post('/token', { grant_type: JWT_BEARER, assertion: await ann.sign(assertionClaims(ann.did, s.base)) }))()
    const shown = (async () => ask(s.url, { headers: bearer(await ann.sign(assertionClaims(ann.did, s.url.href))), body: LIST }))()
    await until('the document to be asked for', () => host.asked.length > 0)
    const others = bearer(await s.token(bob))
    const served = async (): Promise<number> => (await ask(s.url, { headers: others, body: LIST })).status
    let answer: Answer | undefined
    while (!answer) {
      expect(await served()).toBe(200)
      answer = await Promise.race([asked, served().then(() => undefined)])
    }
    expect([answer.status, answer.json['error']]).toEqual([400, 'invalid_grant'])
    expect((await shown).status).toBe(401)
    expect(s.log.join('')).not.toContain('internal error')
  })

  test('of which many hang at once does not keep others from being read', async () => {
    const [slow, good] = [await forThisTest(didHost()), await forThisTest(didHost())]
    const ann = good.identity('ann')
    const s = await secured({ trusted: [ann.did, 'did:web:*'] })
    const key = nodeKey('EdDSA')
    const hanging = Array.from({ length: 50 }, async (_, index) => {
      const did = slow.did(`x${index}`)
      slow.host(`x${index}`, () => {})
      return s.post('/token', { grant_type: JWT_BEARER, assertion: await signerOf(did, `${did}#key`, key).sign(assertionClaims(did, s.base)) })
    })
    await until('them to hang', () => slow.asked.length > 0)
    // One host name, though: loopback has no other. What is asked for at once of one is bounded.
    expect(slow.asked.length).toBeLessThanOrEqual(4)
    const answers = await Promise.all(hanging)
    expect(new Set(answers.map(({ status, json }) => `${status} ${String(json['error'])}`))).toEqual(new Set(['400 invalid_grant']))
    expect(await s.token(ann)).toMatch(/^ey/)
  })
})

describe('a DID, a kid, a document or a JWT that is not as it must be', () => {
  test('is refused in the same words, whatever it is', async () => {
    const ann = keyHolder()
    const s = await secured({ trusted: ['any'] })
    const key = nodeKey('EdDSA')
    const dids = [
      '',
      'did:',
      'did:key:',
      'did:key:z',
      `did:key:z${'1'.repeat(600)}`,
      `did:key:z${'z'.repeat(1500)}`,
      `did:key:${key.multibase}x`,
      `did:key:${key.multibase}#${key.multibase}`,
      `did:key:${key.multibase}?a=b`,
      ` did:key:${key.multibase}`,
      `DID:key:${key.multibase}`,
      'did:constructor:x',
      'did:__proto__:x',
      'did:toString:x',
      'did:example:123',
      'did:jwk:AAAA',
      `did:jwk:${Buffer.from('{"kty":"oct","k":"AAAA"}').toString('base64url')}`,
      'did:peer:0z6Mk',
      'did:peer:4zQm',
      `did:web:${'a'.repeat(300)}.example`,
      'did:web:127.0.0.1%3A99999',
      'did:web:user@host.example',
      'did:web:host.example:..:..:etc',
      'did:web:2130706433',
      'did:web:0x7f.1',
      'did:web:[::1]',
      'did:webvh:x:host.example',
      'did:pkh:eip155:1:0x0',
      'did:key:\u0000',
      'did:key:é',
    ]
    const words = new Set<string>()
    for (const did of dids) {
      const assertion = compactJwt({ alg: 'EdDSA', kid: `${did}#key`, typ: 'JWT' }, assertionClaims(did, s.base), key.privateKey)
      const answer = await s.post('/token', { grant_type: JWT_BEARER, assertion })
      words.add(`${answer.status} ${answer.text}`)
      expect((await s.post('/token', { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion })).status).toBe(
        401,
      )
      const token = compactJwt({ alg: 'EdDSA', kid: `${did}#key`, typ: 'JWT' }, assertionClaims(did, s.url.href), key.privateKey)
      expect((await ask(s.url, { headers: bearer(token), body: LIST })).status).toBe(401)
    }
    expect(words.size).toBe(1)
    for (const kid of ['', '#', ann.did, `#${ann.kid.split('#')[1]}x`, 'a'.repeat(5000), `${ann.kid}\u0000`, 'constructor', '__proto__']) {
      expect((await s.post('/token', { grant_type: JWT_BEARER, assertion: await ann.sign(assertionClaims(ann.did, s.base), { kid }) })).status).toBe(400)
    }
    expect(s.log.join('')).not.toContain('internal error')
  })

  test.each<[string, (document: Json, id: string) => Json]>([
    ['names another DID', (document) => ({ ...document, id: 'did:web:other.example' })],
    ['has no id', (document) => ({ ...document, id: undefined })],
    ['has a key of somebody else', (document, id) => ({ ...document, verificationMethod: [{ ...first(document), controller: `${id}x` }] })],
    ['has methods without end', (document) => ({ ...document, verificationMethod: Array.from({ length: 500 }, () => first(document)) })],
    ['has two methods of one name', (document) => ({ ...document, verificationMethod: [first(document), first(document)] })],
    ['has a private key', (document) => ({ ...document, verificationMethod: [{ ...first(document), publicKeyJwk: { kty: 'oct', k: 'AAAA' } }] })],
    [
      'has a key of another curve',
      (document) => ({ ...document, verificationMethod: [{ ...first(document), publicKeyJwk: { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) } }] }),
    ],
    // Whoever knows this key, which is nobody's, signs anything (small order).
    [
      'has a key that anybody can sign for',
      (document) => ({ ...document, verificationMethod: [{ ...first(document), publicKeyJwk: { kty: 'OKP', crv: 'Ed25519', x: `AQ${'A'.repeat(41)}` } }] }),
    ],
    ['refers to keys that are not there', (document) => ({ ...document, authentication: ['#other'] })],
    ['has members that are none', (document) => ({ ...document, verificationMethod: 'a', authentication: { 0: 'b' } })],
  ])('as a document that %s', async (_name, change) => {
    const host = await forThisTest(didHost())
    const ann = host.identity('ann')
    const s = await secured({ trusted: [ann.did] })
    host.host('ann', change(ann.document, ann.did))
    await expect(s.token(ann)).rejects.toThrow('invalid_grant')
    expect(s.log.join('')).not.toContain('internal error')
  })
})

function first(document: Json): Json {
  const [method]: unknown[] = Array.isArray(document['verificationMethod']) ? document['verificationMethod'] : []
  return { ...(typeof method === 'object' ? method : undefined) }
}

describe('a start that would not be safe is none, and nothing listens', () => {
  async function failing(options: Parameters<typeof secured>[0]): Promise<unknown> {
    const port = await freePort()
    const failure = await secured({ ...options, listen: { port } }).then(
      () => 'it started',
      (error: unknown) => error,
    )
    await isFree(port)
    return failure
  }
  /** Fails when somebody listens there. */
  async function isFree(port: number): Promise<void> {
    const probe = createServer()
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject).listen(port, '127.0.0.1', resolve)
    })
    probe.close()
  }

  test.each(['755', '750', '701', '777'])('with a key directory that others can read or write (%s)', async (mode) => {
    const keys = join(await folder(), 'keys')
    await mkdir(keys)
    await chmod(keys, Number.parseInt(mode, 8))
    expect(await failing({ security: { keys } })).toMatchObject({ code: 'keys_unsafe' })
  })

  test.each(['644', '640', '660'])('with a key that others can read (%s)', async (mode) => {
    const s = await secured()
    const keys = join(s.home, 'keys')
    await chmod(join(keys, 'tokens-1.json'), Number.parseInt(mode, 8))
    expect(await failing({ security: { keys } })).toMatchObject({ code: 'keys_unsafe' })
  })

  test('with a key that is none, a key that is a link, or a directory that is a file', async () => {
    const path = await folder()
    const [broken, linked, file] = [join(path, 'broken'), join(path, 'linked'), join(path, 'file')]
    await mkdir(broken, { mode: 0o700 })
    await writeFile(join(broken, 'tokens-1.json'), '{}', { mode: 0o600 })
    await mkdir(linked, { mode: 0o700 })
    await writeFile(join(path, 'elsewhere'), '{}', { mode: 0o600 })
    await symlink(join(path, 'elsewhere'), join(linked, 'tokens-1.json'))
    await writeFile(file, '')
    for (const keys of [broken, linked, file]) expect(await failing({ security: { keys } })).toMatchObject({ code: 'keys_unsafe' })
  })

  test('with a store that cannot be opened, is none, is a directory, or that others can write', async () => {
    const path = await folder()
    await writeFile(join(path, 'none.db'), 'this is no database, and it is long enough to be told from one that is new'.repeat(20), { mode: 0o600 })
    await mkdir(join(path, 'directory.db'))
    await writeFile(join(path, 'open.db'), '', { mode: 0o600 })
    await chmod(join(path, 'open.db'), 0o666)
    await writeFile(join(path, 'file'), '')
    for (const name of ['none.db', 'directory.db', 'open.db', 'file/store.db']) {
      expect([name, await failing({ security: { store: `file:${join(path, name)}` } })]).toEqual([name, expect.objectContaining({ code: 'store_failed' })])
    }
    for (const store of ['', 'https://store.example', 'file:']) expect(await failing({ security: { store } })).toMatchObject({ code: 'usage' })
  })
})

test('a store that fails in the middle gives no token, and no new proof lets anybody in', async () => {
  const [ann, stranger] = [await holder(), await holder()]
  const s = await secured({ durable: true, trusted: [ann.did] })
  await rm(join(s.home, 'store.db'))
  const assertion = (who: typeof ann): Promise<string> => who.sign(assertionClaims(who.did, s.base))
  const client = { client_assertion_type: CLIENT_ASSERTION }
  const answers = await Promise.all([
    s.post('/token', { grant_type: JWT_BEARER, assertion: await assertion(ann) }),
    s.post('/token', { grant_type: 'client_credentials', ...client, client_assertion: await assertion(ann) }),
    s.post('/introspect', { token: 'a', ...client, client_assertion: await assertion(ann) }),
    s.post('/revoke', { token: 'a', ...client, client_assertion: await assertion(ann) }),
  ])
  for (const { status, json, headers, text } of answers) {
    expect([status, json['error'], headers['retry-after']]).toEqual([503, 'temporarily_unavailable', '5'])
    expect(text).not.toContain(s.home)
  }
  // Who is not trusted hears the same as ever: the store was not asked for them.
  expect((await s.post('/token', { grant_type: JWT_BEARER, assertion: await assertion(stranger) })).status).toBe(400)
  expect((await ask(new URL('/healthz', s.base))).status).toBe(200)
})

test('who sends a body without end and no credential hears so before it has ended', async () => {
  const s = await secured()
  for (const path of ['/mcp', '/messages', '/token', '/unknown']) {
    const socket = await forThisTest(openSocket(s.url))
    socket.write(`POST ${path} HTTP/1.1\r\nHost: ${s.url.host}\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n${'a'.repeat(100_000)}`)
    expect(await until('the answer', () => /^HTTP\/1\.1 (\d+)/.exec(socket.text())?.[1])).toMatch(/^40[014]$/)
  }
  expect(s.reached()).toEqual([])
})
