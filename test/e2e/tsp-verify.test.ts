// `--tsp verify` as people run it: a node and a client, each with its own home, and what both say.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import { openDpopKey } from '../../src/login/dpop-key.ts'
import { isJson, jsonOf, type Json } from '../support/json.ts'
import { nodeHome, type NodeHome } from '../support/node-home.ts'
import { PROGRAM, initializeMessage, serve, typed, type Proxy } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { bearer } from '../support/secured.ts'
import { scripted } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'

interface Stage {
  readonly node: NodeHome
  readonly proxy: Proxy
  /** As the node says it on stderr. */
  readonly remote: string
  readonly client: NodeHome
  /** The client's VID in the form that introduces it, and as it is known. */
  readonly long: string
  readonly vid: string
}

async function stage(): Promise<Stage> {
  const [node, client] = [await nodeHome(), await nodeHome()]
  const keeper = await client.identity('keeper')
  await node.run('trust', 'add', keeper.did)
  const proxy = await forThisTest(serve({ command: scripted(), options: ['--tsp', 'verify'], env: node.env }))
  const [, remote = ''] = await proxy.says(/TSP endpoint listening for incoming messages to: (did:peer:4zQm\w+:z\w+)$/)
  const long = (await client.run('id', 'create', 'ann', '--tsp')).trim()
  return { node, proxy, remote, client, long, vid: long.slice(0, long.lastIndexOf(':')) }
}

describe('a node that gives tokens by TSP', () => {
  test('gives one to whoever is trusted, with which an official client calls a tool; it ends with the trust', async () => {
    const { node, proxy, remote, client, long, vid } = await stage()
    await node.run('trust', 'add', long)
    const { stdout, stderr } = await until('trust to be heard of', async () => {
      const transcript = await typed(['token', remote, '--timeout', '2'], { env: client.env })
      return transcript.code === 0 && transcript
    })
    expect(stderr.split('\n')).toEqual([
      `openmcp: ${vid} has a token for ${proxy.url.href} for 900 s, scope mcp`,
      'openmcp: warning: what is printed holds the private key that the token is bound to: whoever has both can use it',
    ])
    const printed = jsonOf(JSON.parse(stdout))
    expect(Object.keys(printed)).toEqual(['access_token', 'token_type', 'expires_in', 'scope', 'resource', 'dpop_jwk'])
    expect(printed).toMatchObject({ token_type: 'DPoP', resource: proxy.url.href })

    const official = new Client({ name: 'official', version: '1.0.0' })
    onTestFinished(() => official.close())
    await official.connect(new StreamableHTTPClientTransport(new URL(String(printed['resource'])), { fetch: await fetchWith(printed) }))
    expect(await official.callTool({ name: 'who', arguments: {} })).toHaveProperty('structuredContent')

    for (const headers of [bearer(vid), bearer(String(printed['access_token']))]) {
      expect((await ask(proxy.url, { headers, body: initializeMessage(1) })).status).toBe(401)
    }
    await node.run('trust', 'remove', vid)
    await proxy.says(/a TSP relationship has ended/)
    await expect(official.callTool({ name: 'who', arguments: {} })).rejects.toThrow('is not one that is accepted here, or not any more')
    // Nothing of the token was said by anybody.
    expect(proxy.stderr.join('\n')).not.toContain(String(printed['access_token']).split('.')[2])
  })

  test('says to a stranger nothing, and the client says whom the other must trust', async () => {
    const { proxy, remote, client, vid } = await stage()
    const { code, stdout, stderr } = await typed(['token', remote, '--timeout', '1'], { env: client.env })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      new RegExp(
        '^openmcp: error: no answer by TSP within 1 s\n' +
          `openmcp: hint: is it running, does it trust us \\(openmcp trust add ${vid}\\), can it reach us at tcp://127.0.0.1:\\d+, and does it speak revision 3\\?$`,
      ),
    )
    await proxy.says(new RegExp(`a TSP message was not taken .*${vid} is not trusted`))
  })

  test('is the same after a restart: its VID, its port, and whom it is related to', async () => {
    const { node, proxy, remote, client, long } = await stage()
    await node.run('trust', 'add', long)
    const codeOf = (): Promise<number | null> => typed(['token', remote, '--timeout', '2'], { env: client.env }).then(({ code }) => code)
    await until('trust to be heard of', async () => (await codeOf()) === 0)
    await proxy.stop()
    const again = await forThisTest(serve({ command: scripted(), options: ['--tsp', 'verify'], env: node.env }))
    await again.says(new RegExp(`listening for incoming messages to: ${remote}$`))
    expect(await codeOf()).toBe(0)
  })

  test('is not there any more: the client says so', async () => {
    const { proxy, remote, client } = await stage()
    await proxy.stop()
    const { code, stderr } = await typed(['token', remote], { env: client.env })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^openmcp: error: 127\.0\.0\.1:\d+ cannot be reached: nobody listens there/)
  })
})

test('a client that is interrupted ends by the signal, and leaves its port', async () => {
  const { proxy, remote, client, vid } = await stage()
  const waiting = startProgram(process.execPath, [PROGRAM, 'token', remote, '--timeout', '60'], { env: client.env })
  // Its invite came: now it waits.
  await proxy.says(new RegExp(`${vid} is not trusted`))
  waiting.signal('SIGINT')
  expect(await waiting.ended).toEqual({ code: null, signal: 'SIGINT' })
  expect(await typed(['token', remote, '--timeout', '0.5'], { env: client.env })).toMatchObject({ code: 1, stderr: expect.stringContaining(vid) })
})

async function fetchWith({ access_token: token, dpop_jwk: jwk }: Json): Promise<(url: string | URL, init?: RequestInit) => Promise<Response>> {
  const key = await openDpopKey(isJson(jwk) ? jwk : {}, { now: Date.now })
  return async (url, init) => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `DPoP ${String(token)}`)
    headers.set('dpop', await key.proof({ method: init?.method ?? 'GET', url: new URL(url), accessToken: String(token) }))
    return fetch(url, { ...init, headers })
  }
}
