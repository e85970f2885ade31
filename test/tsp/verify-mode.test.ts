// A node that runs with `--tsp verify`, and peers that reach it over TCP: who gets a token, what it is good for, and when it ends.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { decodeJwt } from 'jose'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createTspIdentity } from '../../src/identity/tsp/own.ts'
import { tspDocumentOf } from '../../src/identity/tsp/web-document.ts'
import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/shapes.ts'
import { ownKeysOf } from '../../src/tsp/keys.ts'
import { sealMessage } from '../../src/tsp/seal.ts'
import { didHost } from '../support/did-host.ts'
import { proofKey, type ProofKey } from '../support/did.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, open } from '../support/wire.ts'
import { seed } from './network.ts'
import { askFor, JKT, newTspIdentity, ownDirectory, peer, short, tapped, tokenFor, type Peer, type Wire } from './peer.ts'

const VERIFY = { modes: ['verify'], id: 'tsp' } as const

describe('a token that came sealed', () => {
  test('opens MCP to the official client that has its key, and to nobody else', async () => {
    const client = await peer()
    const node = await secured({ trusted: [client.vid], security: { tsp: VERIFY } })
    const key = await proofKey()
    const token = await tokenFor(client, node.tsp ?? '', { jkt: key.jkt })
    expect(decodeJwt(token)).toMatchObject({ sub: client.vid, client_id: client.vid, aud: node.url.href, scope: 'mcp', cnf: { jkt: key.jkt } })

    const official = new Client({ name: 'official', version: '1.0.0' })
    onTestFinished(() => official.close())
    await official.connect(new StreamableHTTPClientTransport(node.url, { fetch: provingWith(key, token) }))
    expect(await official.callTool({ name: 'echo', arguments: {} })).toMatchObject({ content: [{ type: 'text', text: 'echo' }] })

    node.reached()
    const thief = await proofKey()
    const shown = [bearer(token), { authorization: `DPoP ${token}` }, await headersOf(thief, token, node.url)]
    for (const headers of shown) expect((await ask(node.url, { headers, body: initializeMessage(1) })).status).toBe(401)
    expect(node.reached()).toEqual([])
  })

  test('is for what was asked for, and for no more than its identity may', async () => {
    const client = await peer()
    const node = await secured({ trusted: [{ id: client.vid, scopes: ['mcp:tools'] }], security: { tsp: VERIFY } })
    const [remote, sse] = [node.tsp ?? '', `${node.base}/sse`]
    expect(decodeJwt(await tokenFor(client, remote, { resource: sse, scope: 'mcp:tools mcp:prompts' }))).toMatchObject({ aud: sse, scope: 'mcp:tools' })
    expect(await askFor(client, remote, { scope: 'mcp:prompts' })).toMatchObject({ type: 'openmcp/token-refused', error: 'invalid_scope' })
  })

  test('the VID of the one that has it is no credential', async () => {
    const client = await peer()
    const node = await secured({ trusted: [client.vid], security: { tsp: VERIFY } })
    await tokenFor(client, node.tsp ?? '')
    for (const vid of [client.vid, client.identity.long]) {
      for (const headers of [bearer(vid), { authorization: `DPoP ${vid}` }, { 'x-api-key': vid }]) {
        expect((await ask(node.url, { headers, body: initializeMessage(1) })).status).toBe(401)
      }
    }
    expect(node.reached()).toEqual([])
  })

  test('is given to whoever has the enrolment link of a node that trusts nobody, once, and others that came meanwhile are left', async () => {
    const [ann, eve] = [await peer(), await peer()]
    const node = await secured({ security: { tsp: VERIFY } })
    const remote = node.tsp ?? ''
    const enrolment = new URLSearchParams(node.enrolment?.hash.slice(1)).get('enrol')
    await eve.node.relate(parsed(remote), 10)
    expect(await askFor(eve, remote)).toMatchObject({ error: 'invalid_grant' })
    expect(await tokenFor(ann, remote, { enrolment })).toBeTruthy()
    await until('the end of the other relationship', () => eve.states.includes('ended'))
    await expect(eve.node.send(parsed(remote), Buffer.from('?'))).rejects.toMatchObject({ code: 'untrusted' })
    expect(ann.states).toEqual(['formed'])
  })

  test('is given over HTTP too, when that is where the node is reached', async () => {
    const client = await peer()
    const { port } = new URL((await newTspIdentity()).profile.endpoint)
    const keys = await ownDirectory()
    await newTspIdentity({ dir: keys, endpoint: `http://127.0.0.1:${port}/tsp` })
    const node = await secured({ trusted: [client.vid], security: { keys, tsp: VERIFY }, listen: { port: Number(port) } })
    expect(decodeJwt(await tokenFor(client, node.tsp ?? ''))).toMatchObject({ sub: client.vid, aud: node.url.href })
  })
})

test('a node that takes MCP by TSP too gives tokens no less', async () => {
  const client = await peer()
  const node = await secured({ trusted: [client.vid], security: { tsp: { modes: ['verify', 'message'], id: 'tsp' } } })
  expect(decodeJwt(await tokenFor(client, node.tsp ?? ''))).toMatchObject({ sub: client.vid, aud: node.url.href })
})

test('a node that takes only MCP by TSP gives none', async () => {
  const client = await peer()
  const node = await secured({ trusted: [client.vid], security: { tsp: { modes: ['message'], id: 'tsp' } } })
  await client.node.relate(parsed(node.tsp), 10)
  await client.node.send(parsed(node.tsp), Buffer.from(JSON.stringify({ type: 'openmcp/token-ask', jkt: JKT, nonce: 'n'.repeat(22) })))
  await until('it to be counted', () => node.log.some((line) => line.includes('reason=unheard')))
  expect([client.heard, node.reached()]).toEqual([[], []])
})

describe('who gets nothing', () => {
  test('a stranger hears nothing, and nothing is fetched, kept or asked for it', async () => {
    const [friend, stranger] = [await peer(), await peer()]
    const node = await secured({ durable: true, trusted: [friend.vid], security: { tsp: VERIFY } })
    await expect(stranger.node.relate(parsed(node.tsp), 0.5)).rejects.toMatchObject({ code: 'timeout' })
    expect([stranger.heard, stranger.states, await rowsOf(await node.otherProcess())]).toEqual([[], [], []])
    expect(node.log.join('')).toMatch(/a TSP message was not taken .*reason=untrusted/)
  })

  test('a third one with the VID of a friend and other keys', async () => {
    const [ann, mallory] = [await peer(), ownKeysOf({ signing: seed('mallory signs'), opening: seed('mallory opens') })]
    const { vid, to, node, wire } = await reached({ trusted: [ann.vid] })
    await ann.node.relate(parsed(node.tsp), 10)
    const payloads = [
      { kind: 'invite' } as const,
      { kind: 'application', data: Buffer.from(JSON.stringify({ type: 'openmcp/token-ask', jkt: JKT, nonce: 'n'.repeat(22) })) } as const,
    ]
    for (const as of [ann.vid, ann.identity.long]) {
      for (const payload of payloads) await wire.play(framed(sealMessage({ from: { vid: as, keys: mallory }, to: { vid, keys: to }, payload }).message))
    }
    await until('them to be dropped', () => count(node, 'reason=signature') === 4)
    expect([ann.heard, ann.states]).toEqual([[], ['formed']])
  })

  test('whoever asks too often is told to slow down, and nobody else is', async () => {
    const [busy, calm] = [await peer(), await peer()]
    const node = await secured({ trusted: [busy.vid, calm.vid], security: { tsp: VERIFY } })
    const remote = node.tsp ?? ''
    await busy.node.relate(parsed(remote), 10)
    const answer = await until('enough', async () => {
      const said = await busy.say(remote, { type: 'openmcp/token-ask', jkt: JKT, nonce: 'n'.repeat(22), of: busy.heard.length })
      return said['type'] === 'openmcp/token-refused' && said
    })
    expect(answer).toMatchObject({ error: 'slow_down' })
    expect(await tokenFor(calm, remote)).toBeTruthy()
  })
})

test('whoever invites too often is not taken in for a while, which one who has recorded its invites cannot bring about', async () => {
  const [busy, calm] = [await peer(), await peer()]
  const { node, wire, vid, to } = await reached({ trusted: [busy.vid, calm.vid] })
  const invite = (): Buffer =>
    framed(
      sealMessage({ from: { vid: busy.identity.long, keys: ownKeysOf(busy.identity.secrets) }, to: { vid, keys: to }, payload: { kind: 'invite' } }).message,
    )
  const recorded = invite()
  for (let times = 0; times < 40; times++) await wire.play(recorded)
  await until('all but the first to be dropped', () => count(node, 'of nothing that is there') === 39)
  await busy.node.relate(parsed(node.tsp), 10)
  for (let times = 0; times < 40; times++) await wire.play(invite())
  await until('some to be dropped', () => count(node, 'invites too often') > 5)
  expect(await tokenFor(calm, node.tsp ?? '')).toBeTruthy()
})

describe('everything that was made in a relationship ends with it', () => {
  const ways: Record<string, (stage: Stage) => unknown> = {
    'when its peer ends it': ({ client, node }) => client.node.cancel(parsed(node.tsp)),
    'when trust is removed by another process': ({ store, client }) => removeTrust(store, client.vid),
    'when trust is replaced by one that has ended': ({ store, client, node }) => addTrust(store, { id: client.vid, untilMs: node.now() - 1 }),
    'when the identity is deactivated by another process': ({ store, client }) =>
      store.put('deactivated', { key: client.vid, value: '', expiresAtMs: undefined }),
  }
  test.each(Object.entries(ways))('%s', async (_name, end) => {
    const all = await stage()
    const { node, client, key, token } = all
    const session = await open(new URL('/sse', node.base), { headers: await headersOf(key, token, new URL('/sse', node.base)) })
    expect(session.status).toBe(200)
    await end(all)
    await until('the end of what is open', () => session.over)
    expect((await ask(node.url, { headers: await headersOf(key, token, node.url), body: initializeMessage(1) })).status).toBe(401)
    await until('the peer to know', () => client.states.at(-1) === 'ended')
    await until('the end to be written down', async () => (await rowsOf(all.store)).length === 0)
  })

  test('when the trust is removed that was the first there was, though the link of the first start is not old yet', async () => {
    const client = await peer()
    const node = await secured({ durable: true, security: { tsp: VERIFY } })
    const store = await node.otherProcess()
    await addTrust(store, { id: client.vid })
    await client.node.relate(parsed(node.tsp), 10)
    await until('trust to be heard of', async () => 'access_token' in (await askFor(client, node.tsp ?? '')))
    await removeTrust(store, client.vid)
    await until('the peer to know', () => client.states.at(-1) === 'ended')
    expect(count(node, 'has ended')).toBe(1)
  })

  test('when its document is not there any more, also before anything was made in it', async () => {
    const host = await forThisTest(didHost())
    const identity = await createTspIdentity({
      dir: await ownDirectory(),
      name: 'ann',
      method: 'web',
      domain: host.did('ann').slice('did:web:'.length),
      endpoint: 'tcp://127.0.0.1:0',
      now: Date.now,
    })
    host.host('ann', jsonOf(tspDocumentOf(identity.vid, identity.profile)))
    const ann = await peer({ identity })
    const node = await secured({ trusted: [ann.vid], security: { tsp: VERIFY, didSeconds: 1 } })
    await ann.node.relate(parsed(node.tsp), 10)
    host.host('ann', 404)
    await until('the end', () => count(node, 'has ended') === 1)
    expect(await askedOnce(ann, node)).toEqual([])
  })

  test('and nothing of what others have', async () => {
    const [all, other] = [await stage(), await peer()]
    const { node, store, client } = all
    await addTrust(store, { id: other.vid })
    await until('trust to be heard of', () =>
      other.node.relate(parsed(node.tsp), 0.2).then(
        () => true,
        () => false,
      ),
    )
    const key = await proofKey()
    const { access_token: token } = await askFor(other, node.tsp ?? '', { jkt: key.jkt })
    await client.node.cancel(parsed(node.tsp))
    await until(
      'the end',
      async () => (await ask(node.url, { headers: await headersOf(all.key, all.token, node.url), body: initializeMessage(1) })).status === 401,
    )
    expect((await ask(node.url, { headers: await headersOf(key, String(token), node.url), body: initializeMessage(1) })).status).toBe(200)
  })

  test('and the trust that comes back brings none of it: the peer has to invite anew', async () => {
    const { node, store, client, key, token } = await stage()
    await removeTrust(store, client.vid)
    await until('the end', () => client.states.includes('ended'))
    await addTrust(store, { id: client.vid })
    const remote = node.tsp ?? ''
    await until('trust to be heard of', () =>
      client.node.relate(parsed(remote), 0.2).then(
        () => true,
        () => false,
      ),
    )
    expect((await ask(node.url, { headers: await headersOf(key, token, node.url), body: initializeMessage(1) })).status).toBe(401)
    const { access_token: fresh } = await askFor(client, remote, { jkt: key.jkt })
    expect((await ask(node.url, { headers: await headersOf(key, String(fresh), node.url), body: initializeMessage(1) })).status).toBe(200)
    expect(decodeJwt(String(fresh))['origins']).not.toEqual(decodeJwt(token)['origins'])
  })

  test('a relationship that was there before a restart ends when its trust was removed meanwhile', async () => {
    const client = await peer()
    const [keys, dir] = [await ownDirectory(), await ownDirectory()]
    const options: SecuredOptions = { security: { keys, store: `file:${join(dir, 'store.db')}`, tsp: VERIFY } }
    const store = await storeAt(dir)
    await addTrust(store, { id: client.vid })
    const before = await secured(options)
    await client.node.relate(parsed(before.tsp), 10)
    await before.stop()
    await removeTrust(store, client.vid)
    const other = await peer()
    await addTrust(store, { id: other.vid })
    await secured(options)
    await until('the end', () => client.states.includes('ended'))
    expect(await rowsOf(store)).toEqual([])
  })

  test('a token lives no longer than the relationship that it was made in', async () => {
    const client = await peer()
    const node = await secured({ trusted: [client.vid], security: { tsp: VERIFY, tokenSeconds: 3600 } })
    await client.node.relate(parsed(node.tsp), 10)
    node.pass(24 * 3600 - 60)
    const { expires_in: seconds } = await askFor(client, node.tsp ?? '')
    expect(seconds).toBeLessThanOrEqual(60)
    node.pass(61)
    await client.node.send(parsed(node.tsp), Buffer.from(JSON.stringify({ type: 'openmcp/token-ask', jkt: JKT, nonce: 'n'.repeat(22) })))
    await until('it to be dropped', () => node.log.some((line) => /reason=unrelated/.test(line)))
  })
})

describe('what was recorded on the wire and is sent again', () => {
  test('yields nothing: neither while the relationship lasts, nor when it has ended, nor after a restart', async () => {
    const ann = await peer()
    const dir = await ownDirectory()
    const first = await reached({ trusted: [ann.vid], security: { store: `file:${join(dir, 'store.db')}` } })
    const { wire } = first
    const token = await tokenFor(ann, first.node.tsp ?? '')
    const [invite, asked, answered, ...others] = wire.frames()
    if (!invite || !asked || !answered || others.length > 0) throw new Error('three messages went to the node')
    await playedAgain(first.node, [/of nothing that is there/, /an ask for a token that came before/, /an ask for a token that came before/])

    await ann.node.cancel(parsed(first.node.tsp))
    await until('the end', () => first.node.log.some((line) => line.includes('has ended')))
    await playedAgain(first.node, [/taken before/, /no relationship/, /no relationship/])
    expect((await ask(first.node.url, { headers: { authorization: `DPoP ${token}` }, body: initializeMessage(1) })).status).toBe(401)
    await first.node.stop()

    const again = await reached({ trusted: [ann.vid], security: { store: `file:${join(dir, 'store.db')}` } }, first)
    await playedAgain(again.node, [/taken before/, /no relationship/, /no relationship/])
    expect(await rowsOf(await storeAt(dir))).toEqual([])

    async function playedAgain(node: Secured, said: readonly RegExp[]): Promise<void> {
      const [tokens, formed, before] = [ann.heard.filter(isToken).length, count(node, 'was formed'), node.log.length]
      for (const bytes of [invite, asked, answered]) await wire.play(bytes ?? Buffer.alloc(0))
      await until('all of it to be looked at', () => {
        const lines = node.log.slice(before)
        return said.every((words) => lines.filter((line) => words.test(line)).length >= said.filter((other) => other.source === words.source).length)
      })
      expect([ann.heard.filter(isToken).length, count(node, 'was formed')]).toEqual([tokens, formed])
      expect(node.reached()).toEqual([])
    }
  })
})

test('callers hear how many messages were not taken, and others nothing of TSP', async () => {
  const [ann, stranger] = [await peer(), await peer()]
  const { node, wire } = await reached({ trusted: [ann.vid] })
  await stranger.node.relate(parsed(node.tsp), 0.2).catch(() => undefined)
  await wire.play(framed(Buffer.alloc(100)))
  await until('both', async () => {
    const counts = await dropped(node, ann)
    return counts['malformed'] === 1 && counts['untrusted'] === 1
  })
  expect((await ask(new URL(`${node.base}/status`))).text).not.toContain('tsp')
})

/** What is heard by whoever asks and is not heard. */
async function askedOnce(client: Peer, node: Secured): Promise<Json[]> {
  const before = client.heard.length
  await client.node.send(parsed(node.tsp), Buffer.from(JSON.stringify({ type: 'openmcp/token-ask', jkt: JKT, nonce: 'n'.repeat(22) }))).catch(() => undefined)
  await until('it to be dropped', () => node.log.some((line) => /a TSP message was not taken reason=(untrusted|unrelated)/.test(line)))
  return client.heard.slice(before)
}

interface Stage {
  readonly node: Secured
  readonly store: Store
  readonly client: Peer
  readonly key: ProofKey
  readonly token: string
}

/** A peer that is trusted by a row of the store, and its token. */
async function stage(): Promise<Stage> {
  const [client, keeper, key] = [await peer(), await peer(), await proofKey()]
  // Somebody is trusted throughout, so that no link is awaited.
  const node = await secured({ durable: true, trusted: [keeper.vid], security: { tsp: VERIFY } })
  const store = await node.otherProcess()
  await addTrust(store, { id: client.vid })
  await until('trust to be heard of', () =>
    client.node.relate(parsed(node.tsp), 0.2).then(
      () => true,
      () => false,
    ),
  )
  const { access_token: token } = await askFor(client, node.tsp ?? '', { jkt: key.jkt })
  return { node, store, client, key, token: String(token) }
}

interface Reached {
  readonly node: Secured
  readonly wire: Wire
  readonly keys: string
  readonly vid: ReturnType<typeof short>
  readonly to: ReturnType<typeof ownKeysOf>
}

/** A node that peers reach over a wire that is tapped; or the same one once more. */
async function reached(options: SecuredOptions, before?: Reached): Promise<Reached> {
  const wire = before?.wire ?? (await tapped())
  const keys = before?.keys ?? (await ownDirectory())
  const identity = before ? undefined : await newTspIdentity({ dir: keys, endpoint: wire.endpoint })
  const node = await secured({ ...options, security: { ...options.security, keys, tsp: { ...VERIFY, listen: wire.to } } })
  const to = before?.to ?? ownKeysOf(identity?.secrets ?? { signing: '', opening: '' })
  return { node, wire, keys, vid: short(node.tsp), to }
}

function provingWith(key: ProofKey, token: string): (url: string | URL, init?: RequestInit) => Promise<Response> {
  return async (url, init) => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `DPoP ${token}`)
    headers.set('dpop', await key.proof({ method: init?.method ?? 'GET', url: String(url), token }))
    return fetch(url, { ...init, headers })
  }
}

async function headersOf(key: ProofKey, token: string, url: URL): Promise<Record<string, string>> {
  const method = url.pathname === '/sse' || url.pathname === '/status' ? 'GET' : 'POST'
  return { authorization: `DPoP ${token}`, dpop: await key.proof({ method, url: url.href, token }) }
}

/** As /status tells a caller. */
async function dropped(node: Secured, as: Peer): Promise<Record<string, number>> {
  const [key, url] = [await proofKey(), new URL(`${node.base}/status`)]
  const token = await tokenFor(as, node.tsp ?? '', { jkt: key.jkt })
  const { json } = await ask(url, { headers: await headersOf(key, token, url) })
  return at(json, 'tsp_dropped') as Record<string, number>
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  return Buffer.concat([length, message])
}

function isToken({ type }: Json): boolean {
  return type === 'openmcp/token'
}

function count({ log }: Secured, words: string): number {
  return log.filter((line) => line.includes(words)).length
}

function parsed(vid: string | undefined): ReturnType<typeof short> {
  // Looked at by whoever it is given to.
  return String(vid) as ReturnType<typeof short>
}

async function storeAt(dir: string): Promise<Store> {
  const store = await openStore(`file:${join(dir, 'store.db')}`, { now: Date.now })
  onTestFinished(store.close)
  return store
}

/** Relationships, and not what an operator has said. */
async function rowsOf(store: Store): Promise<string[]> {
  return (await store.list('tsp')).map(({ key }) => key).filter((key) => !key.startsWith('known '))
}
