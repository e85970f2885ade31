// What the documents promise of --security: examples are run as they stand, tables are compared with the source and with what is answered.
import { chmodSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { GRANT_TYPES } from '../../src/oauth/grants.ts'
import { issuerMetadata } from '../../src/oauth/metadata.ts'
import { SCOPES } from '../../src/policy/scopes.ts'
import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder, proofKey, secondsNow } from '../support/did.ts'
import { at } from '../support/json.ts'
import { nodeHome } from '../support/node-home.ts'
import { PROGRAM, callMessage, initializeMessage, serve, typed, type Proxy } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { JWT_BEARER, bearer, secured, sessionWith } from '../support/secured.ts'
import { everything } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask, type Answer } from '../support/wire.ts'
import {
  EVERYTHING,
  EXAMPLES,
  ROOT,
  bare,
  blocksOf,
  calledThrough,
  commandOf,
  fromTerminal,
  isSecured,
  section,
  spansOf,
  tableOf,
  textOf,
  titled,
  wordsOf,
} from './documents.ts'

const SECURITY = 'docs/security.md'
const SECURED = EXAMPLES.filter(isSecured)
const LOGINS = SECURED.filter(({ block }) => block.startsWith('openmcp token '))

/** openmcp with its guard, in front of server-everything, which trusts one identity of its own home. */
async function trusting(name: string): Promise<{ proxy: Proxy; home: Awaited<ReturnType<typeof nodeHome>> }> {
  const home = await nodeHome()
  const { did } = await home.identity(name)
  await home.run('trust', 'add', did)
  const { served } = await everything('stdio child')
  return { home, proxy: await forThisTest(serve({ ...served, options: ['--security'], env: home.env })) }
}

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-docs-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function calledWith(token: string, url: URL): Promise<unknown> {
  return calledThrough(new StreamableHTTPClientTransport(url, { requestInit: { headers: bearer(token) } }))
}

describe('the examples of --security', () => {
  test('there is one to serve, one to redeem the link, and one for every time after', () => {
    expect(SECURED.length).toBeGreaterThan(LOGINS.length)
    expect(new Set(LOGINS.map(({ block }) => block.replaceAll(/http\S+/g, 'URL')))).toEqual(new Set(['openmcp token URL --enrol LINK', 'openmcp token URL']))
  })

  test.each(titled(SECURED, (block) => block.startsWith('openmcp run ')))(
    '%s: the link lets one identity in, and a token an SDK client',
    async (_title, block) => {
      const [node, mine] = [await nodeHome(), await nodeHome()]
      const [command = '', ...args] = commandOf(block, '')
      const proxy = await forThisTest(fromTerminal(startProgram(command, args, { cwd: ROOT, env: node.env })))
      const [, href = ''] = await proxy.says(/listening on (\S+)/)
      const [, link = ''] = await proxy.says(/--enrol '([^']+)'/)
      const url = new URL(href)
      expect((await ask(url, { body: initializeMessage(1) })).status).toBe(401)
      const links = LOGINS.toSorted((a, b) => Number(b.block.includes('--enrol')) - Number(a.block.includes('--enrol')))
      for (const login of links) {
        const [, , ...words] = commandOf(login.block, url.origin)
        const token = await mine.run(...words.map((word) => (word === 'LINK' ? link : word)))
        expect(await calledWith(token, url)).toEqual(EVERYTHING)
      }
    },
  )

  test.each(blocksOf(textOf(SECURITY), 'ts').map((block) => [block.split('\n').at(-2), block]))(
    'the program that ends with %s runs as it stands',
    async (_title, block) => {
      const { proxy, home } = await trusting('default')
      const directory = temporary()
      symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
      writeFileSync(join(directory, 'identity.json'), await home.run(...spanOf('openmcp id export default --private')), { mode: 0o600 })
      writeFileSync(join(directory, 'example.mjs'), (block ?? '').replaceAll('http://127.0.0.1:8000', proxy.url.origin))
      const program = startProgram(process.execPath, ['example.mjs'], { cwd: directory })
      expect({ ...(await program.ended), stderr: program.stderr, stdout: program.stdout.join('\n') }).toEqual({
        code: 0,
        signal: null,
        stderr: [],
        stdout: expect.stringContaining('Echo: hello'),
      })
    },
  )

  test('the configuration for a client that only starts commands reaches a secured server, and holds no secret', async () => {
    const [block = ''] = blocksOf(textOf(SECURITY), 'json')
    const { mcpServers } = MCP_SERVERS.parse(JSON.parse(block))
    const [server, ...more] = Object.values(mcpServers)
    if (!server) throw new Error('there is no server in it')
    expect([more, block.includes('https://mcp.example.com/mcp'), /token|key|secret/i.test(block)]).toEqual([[], true, false])
    const { proxy, home } = await trusting('default')
    const directory = temporary()
    writeFileSync(join(directory, 'openmcp'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`)
    chmodSync(join(directory, 'openmcp'), 0o755)
    const args = server.args.map((arg) => arg.replace('https://mcp.example.com/mcp', proxy.url.href))
    const env = { ...home.env, PATH: [directory, process.env['PATH']].join(delimiter) }
    expect(await calledThrough(new StdioClientTransport({ command: server.command, args, env, stderr: 'ignore' }))).toEqual(EVERYTHING)
  })

  test.each([
    [SECURITY, blocksOf(textOf(SECURITY), 'json')[1] ?? '', { sub: 'alice' }, { sub: 'mallory' }, expect.arrayContaining(['echo', 'get-sum'])],
    ['docs/configuration.md', blocksOf(textOf('docs/configuration.md'), 'jsonc')[1] ?? '', { email: 'alice@example.com' }, { sub: 'alice' }, ['echo']],
  ] as const)('the file of --config in %s lets in whom its issuer names, with the tools of the rule', async (_document, block, trusted, other, tools) => {
    const [host, signer, node] = [await forThisTest(didHost()), await holder(), await nodeHome()]
    host.host('/jwks', { keys: [{ ...signer.publicJwk, kid: signer.kid, alg: signer.alg }] })
    const file = join(temporary(), 'config.json')
    expect(block).toContain('"https://login.example.com/jwks"')
    writeFileSync(file, block.replace('https://login.example.com/jwks', `${host.origin}/jwks`))
    const { served } = await everything('stdio child')
    const proxy = await forThisTest(serve({ ...served, options: ['--security', '--config', file, '--trust-loopback'], env: node.env }))
    const claims = { iss: 'https://login.example.com', aud: 'https://mcp.example.com/mcp', iat: secondsNow(), exp: secondsNow() + 60 }
    expect(await calledWith(await signer.sign({ ...claims, ...trusted }), proxy.url)).toEqual({ ...EVERYTHING, tools })
    expect((await ask(proxy.url, { headers: bearer(await signer.sign({ ...claims, ...other })), body: initializeMessage(1) })).status).toBe(401)
  })

  test('the commands of the table of trust do what it says', async () => {
    const home = await nodeHome()
    const { did } = await home.identity('ann')
    const rows = tableOf(section(SECURITY, 'Trust'), 'command')
    const commands = rows.map(([cell = '']) => wordsOf(bare(cell).replace('did:key:z6Mk…', did)))
    expect(commands.map(([program, name]) => `${program} ${name}`)).toEqual(commands.map(() => 'openmcp trust'))
    const left = new Set<string>()
    for (const [, ...words] of commands) {
      const [, act, id = ''] = words
      // Whom one rule lets in is not shut out by the end of another, and is told so.
      if (act === 'remove' && left.delete('any')) await home.run('trust', 'remove', 'any')
      const { code, stderr } = await typed(words, { env: home.env })
      if (act === 'add') left.add(id)
      else left.delete(id)
      expect({ words, code, stderr }).toEqual({
        words,
        code: 0,
        stderr: expect.stringMatching(
          act === 'remove' ? /^openmcp: no longer trusted: / : id === 'any' ? /^openmcp: warning: [^]*trusted: any/ : /^openmcp: trusted: /,
        ),
      })
    }
    const rules = RULES.parse(JSON.parse(await home.run('trust', 'list', '--json')))
    expect(new Set(rules.map(({ id }) => id))).toEqual(left)
  })
})

describe('the tables of docs/security.md', () => {
  test('scopes are those of the source, and each is what its methods need', async () => {
    const rows = tableOf(section(SECURITY, 'Trust'), 'scope')
    expect(rows.map(([scope = '']) => bare(scope))).toEqual([...SCOPES])
    const nobody = await holder()
    const s = await secured({ trusted: [{ id: nobody.did, scopes: ['introspect'] }] })
    const headers = bearer(await s.token(nobody, { form: { scope: 'introspect' } }))
    for (const [scope = '', methods = ''] of rows) {
      for (const method of spansOf(methods).filter((span) => /^[a-z]+\/[a-z*]+$/.test(span))) {
        const body = { jsonrpc: '2.0', id: 1, method: method.replace('*', 'list'), params: {} }
        const { status, headers: answered } = await ask(s.url, { headers, body })
        expect({ method, status, needs: /scope="([^"]*)"/.exec(String(answered['www-authenticate']))?.[1] }).toEqual({
          method,
          status: 403,
          needs: bare(scope),
        })
      }
    }
  })

  test('grants and DID methods are those that the metadata has', () => {
    const grants = tableOf(section(SECURITY, 'Getting a token')).map(([type = '']) => bare(type))
    expect(grants.filter((type) => type !== '')).toEqual(GRANT_TYPES)
    const methods = tableOf(section(SECURITY, 'Identities')).map(([method = '', keys]) => [bare(method), keys])
    const usable = methods.filter(([, keys]) => keys !== 'none').map(([method]) => method)
    expect(new Set(usable)).toEqual(new Set(METADATA.parse(issuerMetadata('http://here')).did_methods_supported))
    expect(methods.filter(([method]) => !usable.includes(method)).map(([method]) => method)).toEqual(['did:pkh'])
  })

  test('every path that is published answers whoever asks', async () => {
    const s = await secured()
    const paths = tableOf(section(SECURITY, 'What is published')).flatMap(([cell = '']) => spansOf(cell).flatMap(alternativesOf))
    expect(paths.length).toBeGreaterThan(5)
    const answers = await Promise.all(paths.map(async (path) => [path, (await ask(new URL(path, s.url))).status]))
    expect(answers).toEqual(paths.map((path) => [path, 200]))
  })

  describe('refusals', () => {
    const rows = tableOf(section(SECURITY, 'Refusals'))
    const provoked: readonly (readonly [when: string, provoke: (row: string) => Promise<void>])[] = [
      ['no credential', withoutCredential],
      ['one that does not hold, for whatever reason', withGarbage],
      ['a bound token without a good proof', withoutProof],
      ['all scopes that are needed are named', withoutScope],
      ['a session of somebody else, in the words for one that never was', inAnotherSession],
      ['a tool that this caller may not use, as if it did not exist', withAnotherTool],
      ['the store cannot be read or written: nothing is let in on hope', withoutStore],
    ]

    test('each of them is provoked here', () => {
      expect(rows.map(([, when]) => when)).toEqual(provoked.map(([when]) => when))
    })

    test.each(provoked)('%s', async (when, provoke) => {
      const [answer = ''] = rows.find(([, each]) => each === when) ?? []
      await expect(provoke(answer)).resolves.toBeUndefined()
    })

    async function withoutCredential(row: string): Promise<void> {
      const s = await secured()
      expect(shown(await ask(s.url, { body: initializeMessage(1) }))).toMatch(patternOf(row))
    }

    async function withGarbage(row: string): Promise<void> {
      const s = await secured()
      const { status, headers } = await ask(s.url, { headers: bearer('not.a.token'), body: initializeMessage(1) })
      expect([status, headers['www-authenticate']]).toEqual([401, expect.stringContaining(spansOf(row)[0] ?? '')])
    }

    async function withoutProof(row: string): Promise<void> {
      const [ann, key] = [await holder(), await proofKey()]
      const s = await secured({ trusted: [ann.did], security: { dpop: 'nonce' } })
      const first = await s.post('/token', { grant_type: 'client_credentials' }, { dpop: await key.proof({ method: 'POST', url: `${s.base}/token` }) })
      const nonce = String(first.headers['dpop-nonce'])
      const token = await s.token(ann, { key: { ...key, proof: (request) => key.proof({ ...request, nonce }) } })
      const challenged = async (proof: Readonly<Record<string, string>>): Promise<string> => {
        const { status, headers } = await ask(s.url, { headers: { authorization: `DPoP ${token}`, ...proof }, body: initializeMessage(1) })
        return `${status}, ${String(headers['www-authenticate'])}`
      }
      const [bad = '', stale = ''] = spansOf(row)
      expect(await challenged({ dpop: 'none' })).toContain(`401, ${bad}`)
      expect(await challenged({ dpop: await key.proof({ method: 'POST', url: s.url.href, token }) })).toContain(`401, DPoP error=${stale}`)
    }

    async function withoutScope(row: string): Promise<void> {
      const ann = await holder()
      const s = await secured({ trusted: [{ id: ann.did, scopes: ['mcp:tools'] }] })
      const body = { jsonrpc: '2.0', id: 1, method: 'resources/list' }
      const { status, headers } = await ask(s.url, { headers: bearer(await s.token(ann)), body })
      expect(bare(row)).toBe('403 insufficient_scope')
      expect([status, headers['www-authenticate']]).toEqual([403, expect.stringMatching(/error="insufficient_scope".*scope="mcp:resources"/)])
    }

    async function inAnotherSession(row: string): Promise<void> {
      const [ann, bob] = [await holder(), await holder()]
      const s = await secured({ trusted: [ann.did, bob.did] })
      const session = await sessionWith(s, bearer(await s.token(ann)))
      const headers = bearer(await s.token(bob))
      const [other, none] = await Promise.all(
        [session, 'never-was'].map((id) => ask(s.url, { headers: { ...headers, 'mcp-session-id': id }, body: callMessage(1, 'echo') })),
      )
      expect([row, other?.status, other?.text]).toEqual(['404', 404, none?.text])
    }

    async function withAnotherTool(row: string): Promise<void> {
      const ann = await holder()
      const s = await secured({ trusted: [{ id: ann.did, tools: ['echo'] }] })
      const headers = bearer(await s.token(ann))
      const session = { ...headers, 'mcp-session-id': await sessionWith(s, headers) }
      const { status, json } = await ask(s.url, { headers: session, body: callMessage(1, 'secret') })
      expect(row).toBe('a JSON-RPC error, HTTP 200')
      expect([status, at(json, 'error', 'message')]).toEqual([200, 'Unknown tool: secret'])
    }

    async function withoutStore(row: string): Promise<void> {
      const ann = await holder()
      const s = await secured({ durable: true, trusted: [ann.did] })
      renameSync(join(s.home, 'store.db'), join(s.home, 'away.db'))
      await expect(s.token(ann)).rejects.toThrow(`no token: ${row} `)
    }
  })
})

test('bound to 0.0.0.0, which nobody can call, the link is for this machine, and can be redeemed', async () => {
  const [node, mine] = [await nodeHome(), await nodeHome()]
  const { served } = await everything('stdio child')
  const proxy = await forThisTest(serve({ ...served, host: '0.0.0.0', options: ['--security'], env: node.env }))
  const [, resource = '', link = ''] = await proxy.says(/openmcp token (\S+) --enrol '(\S+)'$/)
  expect([new URL(resource).hostname, new URL(link).hostname]).toEqual(['127.0.0.1', '127.0.0.1'])
  expect(await mine.run('token', resource, '--enrol', link)).toMatch(/^eyJ/)
})

test('processes that share keys and store behind one --public-url take the tokens of each other, and an assertion once', async () => {
  const [node, ann] = [await nodeHome(), await holder()]
  await node.run('trust', 'add', ann.did)
  const { served } = await everything('stdio child')
  const options = ['--security', '--public-url', 'https://mcp.example.com']
  const [one, two] = [await forThisTest(serve({ ...served, options, env: node.env })), await forThisTest(serve({ ...served, options, env: node.env }))]
  const form = new URLSearchParams({ grant_type: JWT_BEARER, assertion: await ann.sign(assertionClaims(ann.did, 'https://mcp.example.com')) }).toString()
  const headers = { host: 'mcp.example.com', 'content-type': 'application/x-www-form-urlencoded' }
  const [first, second] = [await ask(one.at('/token'), { headers, body: form }), await ask(two.at('/token'), { headers, body: form })]
  expect([first.status, second.status, second.json['error']]).toEqual([200, 400, 'invalid_grant'])
  const authorized = { host: 'mcp.example.com', ...bearer(String(first.json['access_token'])) }
  expect((await ask(two.url, { headers: authorized, body: initializeMessage(1) })).status).toBe(200)
})

test('every line of the log that docs/operations.md explains is one of the source', () => {
  const source = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
    .join('\n')
  const lines = tableOf(section('docs/operations.md', 'With `--security`'), 'the log says').map(([line = '', level = '']) => [bare(line), level] as const)
  expect(lines.length).toBeGreaterThan(5)
  const missing = lines.filter(([line]) => !line.split('…').every((part) => source.includes(part.trim())))
  expect(missing).toEqual([])
})

test('the shares of one address in docs/operations.md are those that it has', async () => {
  const shares = tableOf(section('docs/operations.md', 'With `--security`'), 'what').map(([, each = '']) => each)
  // What comes back within a second is tried with a clock of its own.
  const told = shares.filter((each) => each.endsWith('a minute')).map((each) => Number.parseInt(each, 10))
  // At one moment: what comes back with time depends on how busy the machine is.
  const moment = Date.now()
  const s = await secured({ clock: () => moment })
  const asking: (() => Promise<Answer>)[] = [
    () => ask(new URL('/authorize', s.url)),
    () =>
      ask(new URL('/gen-api-key', s.url), { body: { did: 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK', message: 'none', signature: 'none' } }),
  ]
  const found = await Promise.all(asking.map((one) => triesBefore429(one)))
  expect(found).toEqual(told)
})

async function triesBefore429(tryOnce: () => Promise<Answer>): Promise<number> {
  let tries = 0
  while ((await tryOnce()).status !== 429) tries++
  return tries
}

const MCP_SERVERS = z.strictObject({ mcpServers: z.record(z.string(), z.strictObject({ command: z.string(), args: z.array(z.string()) })) })
const METADATA = z.looseObject({ did_methods_supported: z.array(z.string()) })
const RULES = z.array(z.looseObject({ id: z.string() }))

/** The words behind `openmcp` in a piece of code that docs/security.md must have. */
function spanOf(code: string): string[] {
  expect(spansOf(textOf(SECURITY))).toContain(code)
  return wordsOf(code).slice(1)
}

/** `/a[/b, /c]` are `/a`, `/a/b` and `/a/c`. */
function alternativesOf(span: string): string[] {
  const [, path = '', ends] = /^([^[]+)(?:\[([^\]]+)\])?$/.exec(span) ?? []
  return [path, ...(ends?.split(', ') ?? []).map((end) => path + end)]
}

function shown({ status, headers }: Answer): string {
  return `${status}, WWW-Authenticate: ${String(headers['www-authenticate'])}`
}

/** What a cell says, where `…` stands for any text. */
function patternOf(cell: string): RegExp {
  const parts = bare(cell)
    .split('…')
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^"]+')}$`)
}
