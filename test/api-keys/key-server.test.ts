import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { IdentitySigner } from '../../src/identity/shapes.ts'
import type { Vid } from '../../src/identity/vid.ts'
import { holder } from '../support/did.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured } from '../support/secured.ts'
import { testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'
import { act, keyOf, walletProver } from './stage.ts'

async function identity(): Promise<IdentitySigner> {
  const { did, kid, alg, sign } = await holder()
  return {
    identity: { name: 'test', vid: did as Vid, kid, alg, createdAtMs: 0, deactivated: false }, // a did:jwk is one
    sign: (claims, typ) => sign(claims, { typ }),
  }
}

test('a node that asks another server for keys lets in who has one there, and is trusted here', async () => {
  const [wallet, signer] = [testWallet(), await identity()]
  const who = walletProver(wallet)
  const server = await secured({ trusted: [wallet.did, { id: signer.identity.vid, scopes: ['introspect'] }] })
  const keyServer = { url: new URL(server.base), signer }
  const [stage, other] = [await secured({ trusted: [wallet.did], security: { keyServer } }), await secured({ security: { keyServer } })]
  const { secret, id } = await keyOf(server, who)
  const statusAt = async ({ url }: typeof stage, key: string): Promise<number> => (await ask(url, { headers: bearer(key), body: initializeMessage(1) })).status
  expect(await statusAt(stage, secret)).toBe(200)
  expect(await statusAt(other, secret)).toBe(401)
  expect(await statusAt(stage, `sk_${'a'.repeat(43)}`)).toBe(401)
  await act(server, who, '/revoke-api-key', { key_id: id })
  // Both have one time: an assertion of tomorrow would be refused.
  for (const node of [stage, server]) node.pass(61)
  expect(await statusAt(stage, secret)).toBe(401)
  await server.stop()
  expect(await statusAt(stage, `sk_${'b'.repeat(43)}`)).toBe(503)
})

test.each([
  ['refuses us', (res: import('node:http').ServerResponse) => res.writeHead(401).end('{}')],
  ['answers no JSON', (res: import('node:http').ServerResponse) => res.end('<html>')],
  ['answers something else', (res: import('node:http').ServerResponse) => res.end('{"hex_string":"0x"}')],
  ['answers without an end', (res: import('node:http').ServerResponse) => res.end('x'.repeat(100_000))],
  ['sends us elsewhere', (res: import('node:http').ServerResponse) => res.writeHead(307, { location: '/other' }).end()],
])('a key server that %s is one that is away: 503, and not 401', async (_what, answer) => {
  const server = createServer((_req, res) => void answer(res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const stage = await secured({ security: { keyServer: { url, signer: await identity() } } })
  const { status, text } = await ask(stage.url, { headers: bearer(`sk_${'a'.repeat(43)}`), body: initializeMessage(1) })
  expect(status).toBe(503)
  expect(text).not.toContain(url.host)
  expect(stage.reached()).toEqual([])
})
