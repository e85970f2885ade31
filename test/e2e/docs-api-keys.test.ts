// What docs/api-keys.md promises: its example is run as it stands, its tables are compared with the source and with what is answered.
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import { MOST_KEYS } from '../../src/api-keys/key-ring.ts'
import { parseConfig } from '../../src/cli/config-file.ts'
import { STATUS } from '../../src/oauth/json-endpoint.ts'
import { act, keyProver, lookup, postJson } from '../api-keys/stage.ts'
import { holder } from '../support/did.ts'
import { nodeHome } from '../support/node-home.ts'
import { serve } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { bearer, secured } from '../support/secured.ts'
import { everything } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { testWallet } from '../support/wallet.ts'
import { EVERYTHING, ROOT, bare, blocksOf, calledThrough, section, spansOf, tableOf, textOf, wordsOf } from './documents.ts'

const DOCUMENT = 'docs/api-keys.md'
const ACCOUNT = Uint8Array.from({ length: 32 }, (_, index) => index + 7)
/** Words of the login in a browser. */
const OF_LOGINS = ['another_browser', 'expired_login']

/** What the example wants of Foundry: a wallet called `me`. */
const CAST = `#!${process.execPath}
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
const [wallet, act, flag, name, message = ''] = process.argv.slice(2)
if (wallet !== 'wallet' || flag !== '--account' || name !== 'me') process.exit(1)
const secretKey = Uint8Array.from([${ACCOUNT.join()}])
if (act === 'address') console.log('${testWallet(ACCOUNT).address}')
else {
  const text = Buffer.from(message)
  const hash = keccak_256(Buffer.concat([Buffer.from('\\x19Ethereum Signed Message:\\n' + text.length), text]))
  const [v, ...rest] = secp256k1.sign(hash, secretKey, { prehash: false, format: 'recovered' })
  console.log('0x' + Buffer.from([...rest, v + 27]).toString('hex'))
}
`

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-docs-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

describe('the example', () => {
  test('runs as it stands, and prints a key that lets an SDK client in', async () => {
    const [block = '', ...more] = blocksOf(textOf(DOCUMENT), 'bash')
    const [home, directory] = [await nodeHome(), temporary()]
    await home.run('trust', 'add', testWallet(ACCOUNT).did)
    const { served } = await everything('stdio child')
    const proxy = await forThisTest(serve({ ...served, options: ['--security'], env: home.env }))
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
    writeFileSync(join(directory, 'cast'), CAST)
    chmodSync(join(directory, 'cast'), 0o755)
    const script = block.replace('http://127.0.0.1:8000', proxy.url.origin)
    const program = startProgram('bash', ['--norc', '-euo', 'pipefail', '-c', script], { env: { PATH: [directory, process.env['PATH']].join(delimiter) } })
    expect({ ...(await program.ended), stderr: program.stderr, more }).toEqual({ code: 0, signal: null, stderr: [], more: [] })
    const [key = ''] = program.stdout
    expect([program.stdout.length, key]).toEqual([1, expect.stringMatching(/^sk_[\w-]{43}$/)])
    for (const path of ['/mcp', '/with-key/mcp']) {
      const transport = new StreamableHTTPClientTransport(new URL(path, proxy.url), { requestInit: { headers: bearer(key) } })
      expect(await calledThrough(transport)).toEqual(EVERYTHING)
    }
    const [first = ''] = tableOf(section(DOCUMENT, 'For operators'), 'command').map(([command = '']) => bare(command))
    expect(await home.run(...wordsOf(first).slice(1))).toMatch(/^sk_[\w-]{43}$/)
    expect(await home.run('key', 'list')).toMatch(/"Laptop", mcp, .*\n.*"Laptop", mcp:tools|"Laptop", mcp:tools.*\n.*"Laptop", mcp, /)
  })

  test('of a key server is one that --config takes', () => {
    const [block = ''] = blocksOf(textOf(DOCUMENT), 'json')
    expect(parseConfig(block, 'file').keyServer).toMatchObject({ id: 'default', url: new URL('https://keys.example.com') })
  })
})

describe('the tables', () => {
  test('have every refusal, with its status', () => {
    const told = tableOf(section(DOCUMENT, 'Refusals')).map(([error = '', status = '']) => [bare(error), Number(status)])
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(Object.entries(STATUS).filter(([error]) => !OF_LOGINS.includes(error))))
  })

  test('have every endpoint, with the fields of its answer', async () => {
    const rows = tableOf(section(DOCUMENT, 'Endpoints')).map(
      ([path = '', fields = '', answer = '']) => [bare(path), [spansOf(fields), spansOf(answer)]] as const,
    )
    const told = new Map(rows)
    const [who, server] = [keyProver(), await holder()]
    const stage = await secured({ trusted: [who.did, { id: server.did, scopes: ['introspect'] }] })
    const known = ['did', 'keys']
    const answers = {
      '/challenge': await postJson(stage, '/challenge', who.asked),
      '/gen-api-key': await act(stage, who, '/gen-api-key', { label: 'x', scope: 'mcp:tools', expires_in: 60 }),
      '/get-api-key': await act(stage, who, '/get-api-key'),
      '/rotate-api-key': await act(stage, who, '/rotate-api-key', { overlap_seconds: 0 }),
      '/revoke-api-key': await act(stage, who, '/revoke-api-key'),
    }
    for (const [path, { status, json }] of Object.entries(answers)) {
      const [, answer = []] = told.get(path) ?? []
      const named = answer.flatMap((field) => (field === '/get-api-key' ? known : field === 'hex_string' ? [] : [field]))
      expect({ path, status, fields: Object.keys(json).toSorted() }).toEqual({ path, status: 200, fields: named.toSorted() })
    }
    const { json } = await act(stage, who, '/gen-api-key')
    const ofKeys = spansOf(/^Known of a key: (.*)$/m.exec(textOf(DOCUMENT))?.[1] ?? '').filter((field) => field !== 'key_id')
    expect(Object.keys(json['key'] ?? {}).toSorted()).toEqual(ofKeys.toSorted())
    expect(Object.keys((await lookup(stage, String(json['api_key']), server)).json).toSorted()).toEqual(['did', ...ofKeys].toSorted())
    expect([...told.keys()]).toEqual([...Object.keys(answers), '/reverse-lookup'])
    expect(textOf(DOCUMENT)).toContain(`at most ${MOST_KEYS} keys`)
  })
})
