import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { credentialFor } from '../../src/cli/upstream-login.ts'
import { createIdentity } from '../../src/identity/own-identities.ts'
import { openmcp } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { jsonOf, type Json } from '../support/json.ts'
import { INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { secured, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { SILENT } from '../upstream/scripted-pipe.ts'
import { ownHome } from './home.ts'

interface Client {
  /** One message in, and the answer of its id out. */
  ask(message: Json | string): Promise<Json>
  tell(message: Json | string): void
}

/** openmcp on stdio in front of a node that asks who calls, as Claude Desktop starts it: with a name and no token. */
async function clientOf(node: Secured, keys: string, bound: boolean): Promise<Client> {
  const credential = await credentialFor({ name: 'ann', keys, resource: node.url, bound }, SILENT)
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const proxy = await openmcp(
    {
      target: { kind: 'remote', urls: [node.url], transport: 'auto', headers: {} },
      name: 'test',
      isolation: 'session',
      limits: { ...DEFAULT_LIMITS, drainSeconds: 0 },
      log: { level: 'error', format: 'text' },
      credential,
    },
    { stdin, stdout, log: SILENT, now: Date.now },
  )
  await forThisTest({ stop: () => proxy.close() })
  let text = ''
  const seen: Json[] = []
  stdout.setEncoding('utf8').on('data', (piece: string) => {
    const lines = (text + piece).split('\n')
    text = lines.pop() ?? ''
    seen.push(...lines.map((line) => jsonOf(JSON.parse(line))))
  })
  const tell = (message: Json | string): void => void stdin.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`)
  return {
    tell,
    async ask(message) {
      const { id } = jsonOf(typeof message === 'string' ? JSON.parse(message) : message)
      tell(message)
      return expect
        .poll(() => seen.find((each) => each['id'] === id), { timeout: 15_000 })
        .toBeDefined()
        .then(() => jsonOf(seen.find((each) => each['id'] === id)))
    },
  }
}

async function annAt(trusted: boolean, security: NonNullable<Parameters<typeof secured>[0]>['security'] = {}): Promise<{ node: Secured; keys: string }> {
  const keys = `${ownHome().home}/keys`
  const { vid } = await createIdentity({ dir: keys, name: 'ann', method: 'key', curve: 'Ed25519', now: Date.now })
  return { keys, node: await secured({ trusted: trusted ? [vid] : [], security }) }
}

const CALL = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'echo', arguments: {} } }

describe('a client whose openmcp has an identity', () => {
  test.each([false, true])('reaches a node that asks who calls, without a token in its configuration (bound to a key: %s)', async (bound) => {
    const { node, keys } = await annAt(true, bound ? { dpop: 'nonce' } : {})
    const client = await clientOf(node, keys, bound)
    expect(await client.ask(initializeMessage(1))).toMatchObject({ result: { serverInfo: { name: 'test' } } })
    client.tell(INITIALIZED)
    expect(await client.ask(CALL)).toMatchObject({ result: { content: [{ type: 'text', text: 'echo' }] } })
    for (const { headers } of node.upstream.received) expect([headers['authorization'], headers['dpop']]).toEqual([undefined, undefined])
  })

  test('that is not trusted is told so in its answer, with what to do', async () => {
    const { node, keys } = await annAt(false)
    const client = await clientOf(node, keys, false)
    expect(await client.ask(initializeMessage(1))).toMatchObject({ error: { message: expect.stringContaining('openmcp trust add did:key:') } })
    expect(node.reached()).toEqual([])
  })

  test('goes on when its token is over', async () => {
    const { node, keys } = await annAt(true, { tokenSeconds: 60 })
    const client = await clientOf(node, keys, false)
    await client.ask(initializeMessage(1))
    client.tell(INITIALIZED)
    node.pass(100)
    expect(await client.ask(CALL)).toMatchObject({ result: {} })
    expect(node.log.filter((line) => line.includes('a token was issued'))).toHaveLength(2)
  })
})

test('an identity that is not there is told before anything is served', async () => {
  const login = { name: 'nobody', keys: `${ownHome().home}/keys`, resource: new URL('http://127.0.0.1:1/mcp'), bound: false }
  await expect(credentialFor(login, SILENT)).rejects.toMatchObject({ code: 'usage', message: 'there is no identity nobody' })
})
