import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'

import { parsePiv } from '../../src/identity/tsp/piv.ts'
import { tspProfileOf } from '../../src/identity/tsp/profile.ts'
import { openTspIdentity } from '../../src/identity/tsp/own.ts'
import { parseVid, shortFormOf } from '../../src/identity/vid.ts'
import { vids } from '../tsp/vectors.ts'
import { ownHome } from './home.ts'
import { type, type Transcript } from './terminal.ts'

interface Home {
  keys: string
  typed(...argv: string[]): Promise<Transcript>
  /** With this on stdin. */
  fed(text: string, ...argv: string[]): Promise<Transcript>
  /** What is in DIR/identities, if there is such a directory. */
  files(): string[]
}

function atHome(): Home {
  const { home, env } = ownHome()
  const keys = join(home, 'keys')
  return {
    keys,
    typed: (...argv) => type(['id', ...argv], { env }),
    fed: (text, ...argv) => type(['id', ...argv], { env, stdin: Readable.from([Buffer.from(text)]) }),
    files: () => (existsSync(keys) ? readdirSync(join(keys, 'identities')) : []),
  }
}

const WHOEVER = /^openmcp: whoever was told this knows it as (did:peer:4\w+); it is reached at (tcp:\/\/127\.0\.0\.1:[1-9]\d+), by this machine alone\n$/

describe('openmcp id create --tsp', () => {
  test('prints the long form, which others have to be told, and says the short one', async () => {
    const { keys, typed } = atHome()
    const { code, stdout, stderr } = await typed('create', 'tsp', '--tsp')
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expect.stringMatching(/^did:peer:4zQm\w+:z\w+\n$/), stderr: expect.stringMatching(WHOEVER) })
    const { vid, long, profile } = await openTspIdentity(keys, 'tsp')
    expect([`${long}\n`, ...(WHOEVER.exec(stderr) ?? []).slice(1)]).toEqual([stdout, vid, profile.endpoint])
    expect(statSync(join(keys, 'identities', 'tsp.json')).mode & 0o777).toBe(0o600)
  })

  test.each(['tcp://192.0.2.7:13371', 'tls://tsp.example.com:13372', 'http://tsp.example.com/tsp', 'https://tsp.example.com/tsp'])(
    'is reached at %s when that is said',
    async (endpoint) => {
      const { keys, typed } = atHome()
      const { code, stderr } = await typed('create', 'tsp', '--tsp', '--endpoint', endpoint)
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(new RegExp(`it is reached at ${endpoint}\n$`)) })
      expect((await openTspIdentity(keys, 'tsp')).profile.endpoint).toBe(endpoint)
    },
  )

  test('--method web gives a document that tsp_sdk reads, and nothing else in it', async () => {
    const { typed } = atHome()
    const { code, stdout, stderr } = await typed(
      'create',
      'site',
      '--tsp',
      '--method',
      'web',
      '--domain',
      'example.com',
      '--endpoint',
      'https://example.com/tsp',
    )
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'did:web:example.com\n',
      stderr: [
        'openmcp: it is reached at https://example.com/tsp\n',
        "openmcp: publish its document at https://example.com/.well-known/did.json: it is the didDocument of 'openmcp id export site'\n",
      ].join(''),
    })
    const { didDocument } = JSON.parse((await typed('export', 'site')).stdout)
    expect(tspProfileOf(didDocument, parseVid('did:web:example.com'))).toMatchObject({ endpoint: 'https://example.com/tsp' })
    expect(didDocument).toEqual({
      '@context': [expect.any(String), expect.any(String)],
      id: 'did:web:example.com',
      verificationMethod: [
        {
          id: expect.any(String),
          type: 'JsonWebKey2020',
          controller: 'did:web:example.com',
          publicKeyJwk: { kty: 'OKP', crv: 'Ed25519', use: 'sig', x: expect.any(String) },
        },
        {
          id: expect.any(String),
          type: 'JsonWebKey2020',
          controller: 'did:web:example.com',
          publicKeyJwk: { kty: 'OKP', crv: 'X25519', use: 'enc', x: expect.any(String) },
        },
      ],
      authentication: [didDocument.verificationMethod[0].id],
      keyAgreement: [didDocument.verificationMethod[1].id],
      service: [{ id: expect.any(String), type: 'TSPTransport', serviceEndpoint: 'https://example.com/tsp' }],
    })
  })

  test.each<[string[], string]>([
    [['--method', 'key'], 'a did:key cannot say what TSP needs'],
    [['--method', 'jwk'], 'a did:jwk cannot say what TSP needs'],
    [['--method', 'web'], 'a did:web needs its domain'],
    [['--domain', 'example.com'], 'a did:peer has no domain'],
    [['--curve', 'P-256'], 'TSP signs with Ed25519, and not with P-256'],
    [['--endpoint', 'nowhere'], 'a TSP endpoint is a URL'],
    [['--endpoint', 'tsp://'], 'a TSP endpoint is of tcp, tls, http or https, and not of tsp'],
    [['--endpoint', 'quic://127.0.0.1:1'], 'a TSP endpoint is of tcp, tls, http or https, and not of quic'],
    [['--endpoint', 'tcp://127.0.0.1'], 'a TSP endpoint of tcp names its port'],
    [['--endpoint', 'tcp://example.com:0'], 'port 0 is a free port of this machine'],
    [['--endpoint', 'https://ann:word@example.com/'], 'it holds no user and no password'],
    [['--piv'], 'openmcp id create takes no --piv'],
  ])('%j is refused, and nothing is made', async (options, words) => {
    const { typed, files } = atHome()
    const { code, stdout, stderr } = await typed('create', 'tsp', '--tsp', ...options)
    expect({ code, stdout, stderr, files: files() }).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(words), files: [] })
    expect(stderr).not.toContain('ann:word')
  })

  test.each<[string[], string]>([
    [['--method', 'peer'], 'a did:peer is for TSP'],
    [['--endpoint', 'tcp://127.0.0.1:1'], '--endpoint says where an identity is reached by TSP'],
  ])('without --tsp %j is refused', async (options, words) => {
    const { typed, files } = atHome()
    expect(await typed('create', 'tsp', ...options)).toMatchObject({ code: 2, stderr: expect.stringContaining(words) })
    expect(files()).toEqual([])
  })
})

describe('an identity for TSP', () => {
  test('is listed and shown with both of its forms and its endpoint', async () => {
    const { typed } = atHome()
    await typed('create', 'ann')
    const long = (await typed('create', 'tsp', '--tsp', '--endpoint', 'tcp://127.0.0.1:13371')).stdout.trim()
    const did = shortFormOf(parseVid(long))
    expect((await typed('list')).stdout).toMatch(new RegExp(`^ann did:key:\\w+\ntsp ${did} tcp://127\\.0\\.0\\.1:13371\n$`))
    expect((await typed('show', 'tsp')).stdout).toMatch(
      new RegExp(
        `^name: tsp\ndid: ${did}\nlong: ${long}\nendpoint: tcp://127\\.0\\.0\\.1:13371\nkey: ${did}#key-1\nalg: EdDSA\ncreated: \\S+\ndeactivated: false\n$`,
      ),
    )
    const [ann, tsp] = JSON.parse((await typed('list', '--json')).stdout)
    expect([ann.long, ann.endpoint]).toEqual([undefined, undefined])
    expect(tsp).toMatchObject({ name: 'tsp', did, long, endpoint: 'tcp://127.0.0.1:13371', key: `${did}#key-1` })
    expect(JSON.parse((await typed('show', 'tsp', '--json')).stdout)).toEqual(tsp)
  })

  test('is exported without a secret, unless that is asked for', async () => {
    const { keys, typed } = atHome()
    const long = (await typed('create', 'tsp', '--tsp')).stdout.trim()
    const { vid, profile, secrets } = await openTspIdentity(keys, 'tsp')
    const { stdout, stderr } = await typed('export', 'tsp')
    expect([JSON.parse(stdout), stderr]).toEqual([{ vid, kid: `${vid}#key-1`, long, endpoint: profile.endpoint }, ''])
    for (const secret of Object.values(secrets)) expect(stdout).not.toContain(secret)
  })

  test('of a did:peer:4 has no other key; of a did:web signs and opens with others, and says so', async () => {
    const { keys, typed } = atHome()
    await typed('create', 'tsp', '--tsp')
    expect(await typed('rotate', 'tsp')).toMatchObject({ code: 2, stderr: expect.stringContaining('tsp is a did:peer, which is its key') })
    await typed('create', 'site', '--tsp', '--method', 'web', '--domain', 'example.com', '--endpoint', 'https://example.com/tsp')
    const before = await openTspIdentity(keys, 'site')
    const { code, stderr } = await typed('rotate', 'site')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: [
        'openmcp: site signs with a new key: publish its document again at https://example.com/.well-known/did.json\n',
        'openmcp: start what runs as it anew: what is sealed to it is sealed to a new key, and the one before opens nothing any more\n',
      ].join(''),
    })
    const after = await openTspIdentity(keys, 'site')
    const { didDocument } = JSON.parse((await typed('export', 'site')).stdout)
    // What was signed just before is still good, and a peer by TSP takes the first.
    expect(didDocument.verificationMethod.map(({ publicKeyJwk }: { publicKeyJwk: { x: string } }) => publicKeyJwk.x)).toEqual([
      after.profile.verifying,
      before.profile.verifying,
      after.profile.sealing,
    ])
    expect(tspProfileOf(didDocument, before.vid)).toEqual(after.profile)
    expect(after.profile.sealing).not.toBe(before.profile.sealing)
    for (const secret of Object.values(before.secrets)) expect(readFileSync(join(keys, 'identities', 'site.json'), 'utf8')).not.toContain(secret)
  })
})

describe('openmcp id export --piv', () => {
  test('prints what tsp_sdk reads, and says what it is', async () => {
    const { keys, typed } = atHome()
    await typed('create', 'tsp', '--tsp')
    const { code, stdout, stderr } = await typed('export', 'tsp', '--piv')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'openmcp: warning: what is printed is the private key of tsp: whoever reads it is tsp, everywhere and for good\n',
    })
    expect(parsePiv(JSON.parse(stdout))).toEqual(await openTspIdentity(keys, 'tsp'))
    const members = ['id', 'transport', 'sigKeyType', 'publicSigkey', 'encKeyType', 'publicEnckey', 'sigkey', 'enckey']
    expect(Object.keys(JSON.parse(stdout))).toEqual(members)
  })

  test.each<[string[], string]>([
    [['ann', '--piv'], 'the identity ann is a did:key without what TSP needs'],
    [['nobody', '--piv'], 'there is no identity nobody'],
    [['ann', '--piv', '--private'], '--private and --piv are two forms of the same'],
  ])('%j is refused', async (words, said) => {
    const { typed } = atHome()
    await typed('create', 'ann')
    expect(await typed('export', ...words)).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(said) })
  })
})

const piv = (change: object = {}): string => {
  const { idLongForm: _, ...alice } = vids.alice
  return JSON.stringify({ ...alice, ...change })
}

describe('openmcp id import', () => {
  /** A did:peer:4 as another program has it. */
  async function theirs(): Promise<{ text: string; did: string; long: string }> {
    const { typed } = atHome()
    const long = (await typed('create', 'x', '--tsp', '--endpoint', 'tcp://127.0.0.1:13371')).stdout.trim()
    return { text: (await typed('export', 'x', '--piv')).stdout, long, did: shortFormOf(parseVid(long)) }
  }

  test.each([
    ['nothing', []],
    ['-', ['-']],
  ])('with %s behind the name reads a piv.json from stdin', async (_what, words) => {
    const { keys, fed, typed } = atHome()
    const { text, did, long } = await theirs()
    expect(await fed(text, 'import', 'ann', ...words)).toEqual({
      code: 0,
      stdout: `${long}\n`,
      stderr: `openmcp: ann is ${did}; whoever has what it came from is it as well\n`,
    })
    expect((await typed('export', 'ann', '--piv')).stdout).toBe(text)
    expect(statSync(join(keys, 'identities', 'ann.json')).mode & 0o777).toBe(0o600)
  })

  test('with FILE reads that', async () => {
    const { typed } = atHome()
    const directory = mkdtempSync(join(tmpdir(), 'openmcp-piv-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const { text, long } = await theirs()
    writeFileSync(join(directory, 'piv.json'), text)
    expect(await typed('import', 'ann', join(directory, 'piv.json'))).toMatchObject({ code: 0, stdout: `${long}\n` })
    expect(await typed('import', 'bob', join(directory, 'none.json'))).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no such file') })
  })

  test.each(['did:web:example.com', 'did:webvh:QmaJp6pmb6RUvs2MDYmdUVkz2yBPGk2B2cXrPTeDtSLVJc:example.com'])(
    'takes %s with the keys of its piv.json',
    async (id) => {
      const { keys, fed, typed } = atHome()
      const transport = 'https://example.com/tsp'
      expect(await fed(piv({ id, transport }), 'import', 'site')).toMatchObject({ code: 0, stdout: `${id}\n` })
      expect(await openTspIdentity(keys, 'site')).toMatchObject({
        vid: id,
        long: id,
        profile: { endpoint: transport },
        secrets: { signing: vids.alice.sigkey },
      })
      expect((await typed('show', 'site')).stdout).toContain(`key: ${id}#verification-key\n`)
    },
  )

  test('a did:webvh that came from elsewhere is rotated there', async () => {
    const { fed, typed } = atHome()
    await fed(piv({ id: 'did:webvh:QmaJp6pmb6RUvs2MDYmdUVkz2yBPGk2B2cXrPTeDtSLVJc:example.com', transport: 'https://example.com/tsp' }), 'import', 'site')
    expect(await typed('rotate', 'site')).toMatchObject({ code: 2, stderr: expect.stringContaining('site is a did:webvh, whose log is kept elsewhere') })
  })

  test.each([
    ['a did:key', []],
    ['a did:web', ['--method', 'web', '--domain', 'example.com']],
    ['a did:peer:4', ['--tsp']],
    ['a did:web for TSP', ['--tsp', '--method', 'web', '--domain', 'example.com', '--endpoint', 'https://example.com/']],
  ])('takes what export --private printed: %s', async (_what, options) => {
    const [here, there] = [atHome(), atHome()]
    const { stdout } = await here.typed('create', 'ann', ...options)
    const exported = await here.typed('export', 'ann', '--private')
    expect(await there.fed(exported.stdout, 'import', 'bob')).toMatchObject({ code: 0, stdout })
    expect((await there.typed('export', 'bob', '--private')).stdout).toBe(exported.stdout)
  })

  test.each<[string, string, string]>([
    ['nothing', '', 'what is imported is refused: it is not JSON'],
    ['no JSON', '{"sigkey": MqiUK5zsViOi9QxQlyMXvPdraQghVOASyFiAvlFXp4U', 'what is imported is refused: it is not JSON'],
    ['a list', '[]', 'this is neither a piv.json nor an exported identity'],
    ['something else', '{"a":1}', 'this is neither a piv.json nor an exported identity'],
    ['both', '{"id":"a","vid":"b"}', 'this is neither a piv.json nor an exported identity'],
    ['a prototype', '{"__proto__":{}}', 'what is imported is refused: the JSON names a prototype'],
    ['too much', JSON.stringify({ id: 'a'.repeat(65_536) }), 'what is imported is longer than 64 KiB'],
    [
      'the secret of another',
      piv({ transport: 'tcp://127.0.0.1:1', sigkey: vids.bob.sigkey }),
      'the sigkey of the piv.json does not belong to its publicSigkey',
    ],
    ['the name of another', piv({ id: vids.bob.id, transport: 'tcp://127.0.0.1:1' }), 'the did:peer:4 is not made of these keys and this transport'],
    ['nowhere to be reached', piv(), 'a TSP endpoint is of tcp, tls, http or https, and not of tsp'],
    ['port 0', piv({ id: 'did:web:example.com', transport: 'tcp://127.0.0.1:0' }), 'nothing is reached at port 0'],
    [
      'a did:key',
      piv({ id: 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp', transport: 'tcp://127.0.0.1:1' }),
      'cannot be an identity of openmcp for TSP',
    ],
    [
      'a did:peer:2',
      piv({
        id: 'did:peer:2.Ez6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc.Vz6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V',
        transport: 'tcp://127.0.0.1:1',
      }),
      'cannot be an identity of openmcp for TSP',
    ],
    ['no private key', '{"vid":"did:web:example.com","kid":"did:web:example.com#a"}', 'an identity to import has vid, kid and privateJwk'],
  ])('of %s is refused with a reason, and nothing is written', async (_what, text, words) => {
    const { fed, files } = atHome()
    const { code, stdout, stderr } = await fed(text, 'import', 'ann')
    expect({ code, stdout, stderr, files: files() }).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining(words), files: [] })
    for (const secret of [vids.alice.sigkey, vids.alice.enckey, vids.bob.sigkey]) expect(stderr).not.toContain(secret)
  })

  test('an exported identity with the TSP keys of another is refused', async () => {
    const { typed } = atHome()
    const elsewhere = atHome()
    for (const name of ['ann', 'bob']) await typed('create', name, '--tsp')
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(async (name) => JSON.parse((await typed('export', name, '--private')).stdout)))
    const wrong: [object, string][] = [
      [{ ...ann, tsp: bob.tsp }, 'the private key is not the one that the DID names'],
      [
        { ...ann, tsp: { ...ann.tsp, sealing: { ...ann.tsp.sealing, d: bob.tsp.sealing.d } } },
        'the private key to open with does not belong to the public one',
      ],
      [{ ...ann, tsp: {} }, 'what is said of TSP is sealing, with x and d, and endpoint'],
      [{ ...ann, tsp: undefined }, 'the private key is not the one that the DID names'],
    ]
    for (const [exported, words] of wrong) {
      const { code, stderr } = await elsewhere.fed(JSON.stringify(exported), 'import', 'ann')
      expect([code, stderr]).toEqual([1, expect.stringContaining(words)])
    }
    expect(elsewhere.files()).toEqual([])
  })

  test('takes no name that there is, and the identity of before stays', async () => {
    const { fed, typed } = atHome()
    await typed('create', 'ann')
    const before = (await typed('list')).stdout
    const { text } = await theirs()
    expect(await fed(text, 'import', 'ann')).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('there is an identity ann already') })
    expect((await typed('list')).stdout).toBe(before)
  })
})
