// Whose certificates are believed, and which proxy a connection goes through.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { createHttpClient } from '../../src/upstream/http-client.ts'
import { checkedWay, type Trust, type Way } from '../../src/upstream/way.ts'
import { forwardProxy } from '../support/forward-proxy.ts'
import { forThisTest } from '../support/tidy.ts'
import { hasOpenssl, tlsHost, type TlsHost } from '../support/tls-host.ts'
import { json, upstream } from '../support/upstream.ts'

const NAME = 'mcp.example.test'
const LIMITS = { ...DEFAULT_LIMITS, connectSeconds: 2 }

/** The status of `GET /known`, or why there is none. */
async function ask(origin: string, way: Way, { limits = LIMITS, headers = {} } = {}): Promise<number | OpenMcpError> {
  const client = createHttpClient(origin, headers, limits, { way })
  await forThisTest({ stop: () => client.close() })
  return new Promise((resolve) => {
    let found = 0
    client.request(
      { method: 'GET', url: new URL('/known', origin), headers: {} },
      { head: (status) => void (found = status), chunk: () => {}, end: () => resolve(found), failed: resolve },
    )
  })
}

async function hostOf(name?: string): Promise<{ host: TlsHost; port: number; pem: string }> {
  const host = await forThisTest(tlsHost(name === undefined ? {} : { name }))
  host.host('/known', {})
  return { host, port: Number(new URL(host.origin).port), pem: readFileSync(host.certificate, 'utf8') }
}

describe.skipIf(!hasOpenssl)('a server with a certificate of its own', () => {
  test('is not believed, and the words say why and what to do', async () => {
    const { host } = await hostOf()
    const failure = await ask(host.origin, {})
    expect(failure).toMatchObject({
      code: 'upstream_unreachable',
      message: expect.stringContaining('its certificate is its own word'),
      hint: expect.stringContaining('--tls-ca'),
    })
    expect(host.asked).toEqual([])
  })

  test.each<[string, (pem: string) => Trust]>([
    ['added to those of this machine', (pem) => ({ ca: pem })],
    ['the only one', (pem) => ({ only: pem })],
    ['not asked for', () => ({ unchecked: true })],
  ])('is believed when its authority is %s', async (_how, trust) => {
    const { host, pem } = await hostOf()
    expect(await ask(host.origin, { trust: trust(pem) })).toBe(200)
  })

  test('is not believed for the authority of another', async () => {
    const { host } = await hostOf()
    const { pem } = await hostOf()
    for (const trust of [{ ca: pem }, { only: pem }]) expect(await ask(host.origin, { trust })).toMatchObject({ code: 'upstream_unreachable' })
    expect(host.asked).toEqual([])
  })

  test('is not believed under another name', async () => {
    const { host, pem } = await hostOf(NAME)
    expect(await ask(host.origin, { trust: { ca: pem } })).toMatchObject({ message: expect.stringContaining('for another name') })
    expect(host.asked).toEqual([])
  })

  test('is checked for what proves us, whatever was said of the server', () => {
    expect(checkedWay({ trust: { unchecked: true } })).toEqual({})
    expect(checkedWay({ trust: { ca: 'pem' } })).toEqual({ trust: { ca: 'pem' } })
  })
})

describe('through a proxy', () => {
  test('a server is asked for by name and port, and the proxy alone gets what is for it', async () => {
    const server = await forThisTest(upstream((_one, res) => json(res, 200, {})))
    const proxy = await forThisTest(forwardProxy({ to: Number(new URL(server.origin).port) }))
    const proxies = { http: new URL(`http://us%40er:p%3Ass@${proxy.host}`), except: '' }
    expect(await ask(`http://${NAME}:8080`, { proxies }, { headers: { 'x-key': 'ours' } })).toBe(200)
    expect(proxy.asked).toEqual([`${NAME}:8080`])
    expect(proxy.headers[0]).toMatchObject({ 'proxy-authorization': `Basic ${Buffer.from('us@er:p:ss').toString('base64')}` })
    expect(proxy.headers[0]).not.toHaveProperty('x-key')
    expect(server.received[0]?.headers).toMatchObject({ host: `${NAME}:8080`, 'x-key': 'ours' })
    expect(server.received[0]?.headers).not.toHaveProperty('proxy-authorization')
  })

  test.skipIf(!hasOpenssl)('TLS is spoken with the server, and the proxy reads nothing of it', async () => {
    const { port, pem, host } = await hostOf(NAME)
    const proxy = await forThisTest(forwardProxy({ to: port }))
    const way: Way = { trust: { ca: pem }, proxies: { https: new URL(`http://${proxy.host}`), except: '' } }
    expect(await ask(`https://${NAME}`, way, { headers: { 'x-key': 'ours' } })).toBe(200)
    expect([proxy.asked, host.asked]).toEqual([[`${NAME}:443`], ['/known']])
    expect(proxy.through).not.toContain('ours')
  })

  test.skipIf(!hasOpenssl)('that is reached by TLS itself, whose certificate is checked always', async () => {
    const server = await forThisTest(upstream((_one, res) => json(res, 200, {})))
    const { host, pem } = await hostOf()
    const to = Number(new URL(server.origin).port)
    const tls = { cert: pem, key: readFileSync(host.key, 'utf8') }
    const proxy = await forThisTest(forwardProxy({ to, tls }))
    const proxies = { http: new URL(`https://u:secret@${proxy.host}`), except: '' }
    expect(await ask(`http://${NAME}`, { proxies, trust: { ca: pem } })).toBe(200)
    const refused = await ask(`http://${NAME}`, { proxies, trust: { unchecked: true } })
    expect(refused).toMatchObject({ code: 'upstream_unreachable', message: `the proxy ${proxy.host} cannot be reached: its certificate is its own word` })
    expect(proxy.asked).toHaveLength(1)
  })

  test.each([
    [407, 'wants to know who we are (HTTP 407)'],
    [403, `opens no way to ${NAME}:80 (HTTP 403)`],
  ])('that answers %i, nothing goes around it, and no word is a secret', async (refuse, words) => {
    const server = await forThisTest(upstream((_one, res) => json(res, 200, {})))
    const proxy = await forThisTest(forwardProxy({ to: Number(new URL(server.origin).port), refuse }))
    const failure = await ask(`http://${NAME}`, { proxies: { http: new URL(`http://u:secret@${proxy.host}`), except: '' } })
    expect(failure).toMatchObject({ code: 'upstream_unreachable', message: `the proxy ${proxy.host} ${words}` })
    expect(JSON.stringify([failure, failure instanceof Error && failure.stack])).not.toContain('secret')
    expect(server.received).toEqual([])
  })

  test('that never answers is not waited for longer than for a server', async () => {
    const proxy = await forThisTest(forwardProxy({ to: 1, silent: true }))
    const way = { proxies: { http: new URL(`http://${proxy.host}`), except: '' } }
    const failure = await ask(`http://${NAME}`, way, { limits: { ...LIMITS, connectSeconds: 0.2 } })
    expect(failure).toMatchObject({ code: 'upstream_unreachable', message: `the proxy ${proxy.host} does not answer` })
  })

  test('that is not there is what is missing, and not the server', async () => {
    const proxy = await forwardProxy({ to: 1 })
    await proxy.stop()
    const failure = await ask(`http://${NAME}`, { proxies: { http: new URL(`http://${proxy.host}`), except: '' } })
    expect(failure).toMatchObject({ message: `the proxy ${proxy.host} cannot be reached: nothing listens there` })
  })

  test('nobody goes to this machine, nor to what is excepted', async () => {
    const server = await forThisTest(upstream((_one, res) => json(res, 200, {})))
    const proxy = await forThisTest(forwardProxy({ to: 1 }))
    expect(await ask(server.origin, { proxies: { http: new URL(`http://${proxy.host}`), except: '' } })).toBe(200)
    expect(proxy.asked).toEqual([])
  })
})
