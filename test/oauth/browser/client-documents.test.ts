// Clients whose id is the URL of a document about them: what it must say, how long it is believed, and what is never fetched.
import { connect, createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createGuardedFetch } from '../../../src/identity/guarded-fetch.ts'
import type { Fetched } from '../../../src/identity/shapes.ts'
import { createLog } from '../../../src/observe/log.ts'
import { createClientDocuments, type ClientDocuments } from '../../../src/oauth/browser/client-documents.ts'
import { keyProver } from '../../api-keys/stage.ts'
import { didHost, type DidHost } from '../../support/did-host.ts'
import type { Json } from '../../support/json.ts'
import { secured } from '../../support/secured.ts'
import { ask } from '../../support/wire.ts'
import { authorizeUrl, begin, browser, codeFor, exchange, refresh, tokensIn } from './stage.ts'

const ID = 'https://app.example/client.json'
const REDIRECTS = ['http://127.0.0.1/callback', 'http://localhost/callback']

function document(id: string, more: Json = {}): Json {
  return {
    client_id: id,
    client_name: 'An app',
    client_uri: 'https://app.example',
    redirect_uris: REDIRECTS,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...more,
  }
}

async function host(): Promise<DidHost> {
  const hosting = await didHost()
  onTestFinished(hosting.stop)
  return hosting
}

describe('a client whose document is there', () => {
  test('logs a person in, and the page names the host that vouches for it', async () => {
    const who = keyProver()
    const hosting = await host()
    const id = `${hosting.origin}/client.json`
    hosting.host('/client.json', document(id))
    const s = await secured({ trusted: [who.did] })
    const tab = browser()
    const begun = await begin(s, tab, id)
    expect((await tab.get(begun.at)).json['client']).toEqual({ name: 'An app', id_host: new URL(id).host, vouched: true })
    const { refresh: token } = tokensIn(await exchange(s, id, await codeFor(s, who, id)))
    expect((await refresh(s, id, token)).status).toBe(200)
    // Kept: one look for all of this.
    expect(hosting.asked).toEqual(['/client.json'])
  })

  test('keeps its redirect URIs exact, and its ports on loopback free', async () => {
    const hosting = await host()
    const id = `${hosting.origin}/client.json`
    hosting.host('/client.json', document(id, { redirect_uris: [...REDIRECTS, 'https://app.example/callback'] }))
    const s = await secured()
    for (const uri of ['http://127.0.0.1:1/callback', 'http://localhost:33418/callback', 'https://app.example/callback'])
      await begin(s, browser(), id, { redirect_uri: uri })
    for (const uri of ['http://127.0.0.1:1/other', 'https://app.example:8443/callback', 'https://evil.example/callback', 'http://[::1]:1/callback']) {
      const { status, headers, text } = await ask(authorizeUrl(s, id, { redirect_uri: uri }))
      expect([status, headers.location, text.includes('<code>invalid_redirect_uri</code>')]).toEqual([400, undefined, true])
    }
  })

  test('goes on when its host is away for a while, and ends when its document is gone', async () => {
    const who = keyProver()
    const hosting = await host()
    const id = `${hosting.origin}/client.json`
    hosting.host('/client.json', document(id))
    const s = await secured({ trusted: [who.did] })
    const { refresh: token } = tokensIn(await exchange(s, id, await codeFor(s, who, id)))
    hosting.host('/client.json', 500)
    s.pass(400)
    const again = await refresh(s, id, token)
    expect(again.status).toBe(200)
    hosting.host('/client.json', 404)
    s.pass(400)
    expect((await refresh(s, id, tokensIn(again).refresh)).json['error']).toBe('invalid_client')
  })
})

describe('a document', () => {
  test.each<[string, (id: string) => Json]>([
    ['about another client', () => document('http://127.0.0.1/other.json')],
    ['about nobody', (id) => document(id, { client_id: undefined })],
    ['about a client that proves itself', (id) => document(id, { token_endpoint_auth_method: 'private_key_jwt' })],
    ['about a client with a secret', (id) => document(id, { token_endpoint_auth_method: 'client_secret_basic' })],
    ['with a secret in it', (id) => document(id, { client_secret: 'x' })],
    ['with a method that is no text', (id) => document(id, { token_endpoint_auth_method: ['none'] })],
    ['without redirect URIs', (id) => document(id, { redirect_uris: undefined })],
    ['with a redirect URI that is a script', (id) => document(id, { redirect_uris: [...REDIRECTS, 'javascript:alert(1)'] })],
    ['with a redirect URI by http', (id) => document(id, { redirect_uris: [...REDIRECTS, 'http://app.example/callback'] })],
    ['that is longer than any', (id) => document(id, { x: 'x'.repeat(10_300) })],
  ])('%s is none', async (_what, written) => {
    const hosting = await host()
    const id = `${hosting.origin}/client.json`
    hosting.host('/client.json', written(id))
    const s = await secured()
    const { status, headers, text } = await ask(authorizeUrl(s, id))
    expect([status, headers.location, text.includes('<code>invalid_client</code>')]).toEqual([400, undefined, true])
  })

  test.each<[string, number | ((res: Parameters<Exclude<Parameters<DidHost['host']>[1], Json | number>>[0]) => void)]>([
    ['that is not there', 404],
    ['that is an error', 500],
    ['that is elsewhere', (res) => void res.writeHead(302, { location: '/other.json' }).end()],
    ['that is a page', (res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['that is no JSON', (res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{')],
    ['that is a list', (res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('[]')],
  ])('%s is none, and is not asked for again and again', async (_what, hosted) => {
    const hosting = await host()
    hosting.host('/client.json', hosted)
    hosting.host('/other.json', document(`${hosting.origin}/client.json`))
    const s = await secured()
    for (let nth = 0; nth < 5; nth++) expect((await ask(authorizeUrl(s, `${hosting.origin}/client.json`))).status).toBe(400)
    expect(hosting.asked).toEqual(['/client.json'])
    s.pass(11)
    await ask(authorizeUrl(s, `${hosting.origin}/client.json`))
    expect(hosting.asked).toEqual(['/client.json', '/client.json'])
  })
})

describe('nobody has us connect to a network of our own', () => {
  /** Counts whoever comes. */
  async function listener(): Promise<{ port: number; connections(): number }> {
    let connections = 0
    const server = createServer((socket) => {
      connections++
      socket.destroy()
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void server.close())
    const address = server.address()
    if (typeof address !== 'object' || !address) throw new Error('a TCP listener has an address')
    return { port: address.port, connections: () => connections }
  }

  test('by the URL of a document', async () => {
    const { port, connections } = await listener()
    const s = await secured({ security: { trustLoopback: false } })
    for (const name of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '127.1',
      '2130706433',
      '0x7f.1',
      '0.0.0.0',
      '10.0.0.1',
      '192.168.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '[fe80::1]',
      '[fd00::1]',
    ]) {
      for (const scheme of ['https', 'http']) {
        const { status, headers } = await ask(authorizeUrl(s, `${scheme}://${name}:${port}/client.json`))
        expect([name, status, headers.location]).toEqual([name, 400, undefined])
      }
    }
    expect(connections()).toBe(0)
    // It is there for whoever comes.
    await new Promise<void>((resolve) => {
      connect(port, '127.0.0.1').once('close', () => resolve())
    })
    expect(connections()).toBe(1)
  })

  test('by a name that leads there', async () => {
    const { port, connections } = await listener()
    const { fetch, close } = createGuardedFetch({
      trustLoopback: false,
      lookup: (_name, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    onTestFinished(close)
    const documents = createClientDocuments({
      fetch,
      trustLoopback: false,
      now: Date.now,
      log: createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now }),
    })
    expect(await documents.find(`https://app.example:${port}/client.json`)).toBe(undefined)
    expect(connections()).toBe(0)
  })

  test('by a code or a refresh token that is none: then no document is looked at', async () => {
    const hosting = await host()
    const s = await secured()
    for (const answer of [
      await exchange(s, `${hosting.origin}/client.json`, 'x'.repeat(43)),
      await refresh(s, `${hosting.origin}/client.json`, 'x'.repeat(43)),
    ]) {
      expect(answer.json['error']).toBe('invalid_grant')
    }
    expect(hosting.asked).toEqual([])
  })
})

describe('what is fetched', () => {
  interface Stage {
    readonly documents: ClientDocuments
    readonly fetched: string[]
    answer(more: Partial<Fetched> | Error): void
    pass(seconds: number): void
  }

  function stage(): Stage {
    let answer: Partial<Fetched> | Error = {}
    let nowMs = 1_700_000_000_000
    const fetched: string[] = []
    const documents = createClientDocuments({
      async fetch(url) {
        fetched.push(url.href)
        if (answer instanceof Error) throw answer
        return { status: 200, contentType: 'application/json', cacheControl: '', body: Buffer.from(JSON.stringify(document(url.href))), ...answer }
      },
      trustLoopback: false,
      now: () => nowMs,
      log: createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now }),
    })
    return { documents, fetched, answer: (more) => void (answer = more), pass: (seconds) => void (nowMs += seconds * 1000) }
  }

  test.each<[string, string, number]>([
    ['nothing', '', 300],
    ['an age', 'public, max-age=3600', 3600],
    ['an age in quotes', 'max-age="600"', 600],
    ['a short age', 'max-age=1', 60],
    ['no age', 'max-age=0', 60],
    ['not to store', 'no-store', 60],
    ['to ask again', 'max-age=3600, no-cache', 60],
    ['a year', 'max-age=31536000, immutable', 86_400],
    ['an age that is none', 'max-age=soon', 300],
    ['the age of shared caches', 's-maxage=5', 300],
  ])('is kept as HTTP says, within bounds: %s', async (_what, cacheControl, seconds) => {
    const s = stage()
    s.answer({ cacheControl })
    await s.documents.find(ID)
    s.pass(seconds - 1)
    await s.documents.find(ID)
    expect(s.fetched).toHaveLength(1)
    s.pass(2)
    await s.documents.find(ID)
    expect(s.fetched).toHaveLength(2)
  })

  test('is fetched once for all who wait for it', async () => {
    const s = stage()
    const found = await Promise.all(Array.from({ length: 20 }, () => s.documents.find(ID)))
    expect([found.every((one) => one?.name === 'An app'), s.fetched.length]).toEqual([true, 1])
  })

  test('is forgotten when there is too much of it', async () => {
    const s = stage()
    for (let nth = 0; nth < 201; nth++) await s.documents.find(`https://app.example/${nth}`)
    await s.documents.find('https://app.example/200')
    expect(s.fetched).toHaveLength(201)
    await s.documents.find('https://app.example/0')
    expect(s.fetched).toHaveLength(202)
  })

  test.each([
    'http://app.example/client.json',
    'https://app.example',
    'https://app.example/',
    'https://app.example/client.json#x',
    'https://user@app.example/client.json',
    'https://user:password@app.example/client.json',
    'https://APP.example/client.json',
    'https://app.example:443/client.json',
    'https://app.example/a/../client.json',
    'https://app.example/./client.json',
    'https://app.example/client json',
    'https://äpp.example/client.json',
    ' https://app.example/client.json',
    'https:app.example/client.json',
    'https:/app.example/client.json',
    'https:\\\\app.example\\client.json',
    'ftp://app.example/client.json',
    'data:application/json,{}',
    'file:///client.json',
    `https://app.example/${'x'.repeat(500)}`,
    'client',
    '',
  ])('is nothing that is called %j', async (id) => {
    const s = stage()
    expect([await s.documents.find(id), s.documents.isUrl(id)]).toEqual([undefined, false])
    expect(s.fetched).toEqual([])
  })

  test.each(['application/json', 'application/json; charset=utf-8', 'application/cimd+json', 'Application/JSON'])('may call itself %s', async (contentType) => {
    const s = stage()
    s.answer({ contentType })
    expect((await s.documents.find(ID))?.native).toBe(true)
  })

  test('is for a native client where its redirect URIs say so, unless it says otherwise', async () => {
    const nativeOf = async (more: Json): Promise<boolean | undefined> => {
      const s = stage()
      s.answer({ body: Buffer.from(JSON.stringify(document(ID, more))) })
      return (await s.documents.find(ID))?.native
    }
    expect(await nativeOf({})).toBe(true)
    expect(await nativeOf({ application_type: 'web' })).toBe(false)
    expect(await nativeOf({ redirect_uris: ['https://app.example/callback'] })).toBe(false)
    expect(await nativeOf({ redirect_uris: ['https://app.example/callback'], application_type: 'native' })).toBe(true)
    expect(await nativeOf({ redirect_uris: ['vscode://x/y'] })).toBe(true)
  })
})
