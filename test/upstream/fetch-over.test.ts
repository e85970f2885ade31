// fetch that goes the way of an upstream: to its issuers, and from whoever looks at it.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

import { boundedFetch } from '../../src/login/bounded-fetch.ts'
import { fetchOver } from '../../src/upstream/fetch-over.ts'
import { fetchFollowing } from '../../src/upstream/redirects.ts'
import { checkedWay } from '../../src/upstream/way.ts'
import { forwardProxy } from '../support/forward-proxy.ts'
import { forThisTest } from '../support/tidy.ts'
import { hasOpenssl, tlsHost } from '../support/tls-host.ts'
import { json, upstream } from '../support/upstream.ts'

const LIMITS = { connectSeconds: 2 }
const NAME = 'issuer.example.test'

test('without a way of its own it is the one of Node', () => {
  expect([fetchOver(undefined, LIMITS), fetchOver({}, LIMITS)]).toEqual([globalThis.fetch, globalThis.fetch])
})

describe.skipIf(!hasOpenssl)('an issuer behind a proxy, with a certificate of an authority of ours', () => {
  test('is reached, body and all', async () => {
    const host = await forThisTest(tlsHost({ name: NAME }))
    host.host('/token', { access_token: 'x' })
    const proxy = await forThisTest(forwardProxy({ to: Number(new URL(host.origin).port) }))
    const way = { trust: { ca: readFileSync(host.certificate, 'utf8') }, proxies: { https: new URL(`http://${proxy.host}`), except: '' } }
    const answer = await fetchOver(way, LIMITS)(`https://${NAME}/token`, { method: 'POST', body: new URLSearchParams({ a: 'b' }) })
    expect([answer.status, await answer.json(), proxy.asked]).toEqual([200, { access_token: 'x' }, [`${NAME}:443`]])
  })

  test('is looked at even where its upstream is not, and a login says why it fails', async () => {
    const host = await forThisTest(tlsHost())
    host.host('/token', {})
    const login = boundedFetch(fetchOver(checkedWay({ trust: { unchecked: true } }), LIMITS), { waitMs: 5000, bytes: 1000 })
    await expect(login(`${host.origin}/token`)).rejects.toMatchObject({
      code: 'login_failed',
      message: expect.stringContaining('its certificate is its own word'),
    })
    expect(host.asked).toEqual([])
  })
})

test('a proxy that opens no way is what a login says, and not its password', async () => {
  const proxy = await forThisTest(forwardProxy({ to: 1, refuse: 407 }))
  const way = { proxies: { https: new URL(`http://u:hunter2@${proxy.host}`), except: '' } }
  const failure: unknown = await boundedFetch(fetchOver(way, LIMITS), { waitMs: 5000, bytes: 1000 })(`https://${NAME}/token`).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'login_failed', message: expect.stringContaining('wants to know who we are (HTTP 407)') })
  expect(String(failure)).not.toContain('hunter2')
})

test('whoever looks at a server follows it on its own origin alone, and keeps its headers from others', async () => {
  const other = await forThisTest(upstream((_one, res) => json(res, 200, {})))
  const server = await forThisTest(
    upstream(({ url }, res) => {
      if (url === '/there') json(res, 200, {})
      else res.writeHead(307, { location: url === '/here' ? '/there' : `${other.origin}/` }).end()
    }),
  )
  const fetch = fetchFollowing(globalThis.fetch)
  const init = { method: 'POST', body: '{"a":1}', headers: { 'x-key': 'ours' } }
  expect((await fetch(`${server.origin}/here`, init)).status).toBe(200)
  expect(server.received.map(({ url, text, headers }) => [url, text, headers['x-key']])).toEqual([
    ['/here', '{"a":1}', 'ours'],
    ['/there', '{"a":1}', 'ours'],
  ])
  await expect(fetch(`${server.origin}/elsewhere`, init)).rejects.toMatchObject({ code: 'upstream_not_mcp' })
  expect(other.received).toEqual([])
})
