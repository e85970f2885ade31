// `--tsp message` over TCP: an official client, openmcp in front of a VID, the node with that VID, a server behind it.
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { TspIdentity } from '../../src/identity/tsp/piv.ts'
import { parseVid, type Vid } from '../../src/identity/vid.ts'
import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import { createCarriage } from '../../src/tsp/carriage.ts'
import { ownKeysOf, peerKeysOf } from '../../src/tsp/keys.ts'
import { sealMessage } from '../../src/tsp/seal.ts'
import { frameOf } from '../../src/tsp/session-frame.ts'
import { beginSession } from '../../src/tsp/session.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { clientOf, reach, type Reaching, type ReachOptions } from '../support/message-client.ts'
import { resolver } from '../support/sealed.ts'
import { secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { sdkServerFile } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'
import { newTspIdentity, ownDirectory, peer, short, tapped, type Peer, type Wire } from './peer.ts'

const MESSAGE = { modes: ['message'], id: 'tsp' } as const
const SDK_SERVER = {
  target: { kind: 'command', command: process.execPath, args: [sdkServerFile(), 'stdio'], env: { PATH: process.env['PATH'] ?? '' } },
} as const

interface Me {
  readonly identity: TspIdentity
  readonly vid: Vid
  /** Where it is kept. */
  readonly keys: string
}

async function me(): Promise<Me> {
  const keys = await ownDirectory()
  const identity = await newTspIdentity({ dir: keys })
  return { identity, vid: identity.vid, keys }
}

/** A node that serves MCP in sealed messages to whom it trusts. */
function node(trusted: SecuredOptions['trusted'], options: SecuredOptions = {}): Promise<Secured> {
  return secured({ trusted: trusted ?? [], ...options, security: { tsp: MESSAGE, ...options.security } })
}

function vidOf({ tsp }: Secured): string {
  if (tsp === undefined) throw new Error('it has a VID')
  return tsp
}

/** Behind a tapped wire: the same identity may be started again there. */
async function behindWire(): Promise<{ wire: Wire; keys: string; security: NonNullable<SecuredOptions['security']> }> {
  const [wire, keys] = [await tapped(), await ownDirectory()]
  await newTspIdentity({ dir: keys, endpoint: wire.endpoint })
  return { wire, keys, security: { keys, tsp: { ...MESSAGE, listen: wire.to } } }
}

async function connected(who: Me, to: Secured, options: Partial<ReachOptions> = {}): Promise<{ client: Client; reaching: Reaching }> {
  const reaching = await reach(vidOf(to), { keys: who.keys, ...options })
  return { client: await clientOf(reaching), reaching }
}

/** What was asked of the server behind it since the last look. */
function calls(to: Secured): unknown[] {
  return to.reached().flatMap(({ body }) => body['method'] ?? [])
}

describe('a client in front of a VID', () => {
  test('calls tools, hears progress, and is asked by the server', async () => {
    const who = await me()
    const to = await node([who.vid], { options: SDK_SERVER })
    const reaching = await reach(vidOf(to), { keys: who.keys })
    const client = await clientOf(reaching, {
      prepare: (one) =>
        one.setRequestHandler(CreateMessageRequestSchema, async () => ({ role: 'assistant', model: 'none', content: { type: 'text', text: 'four' } })),
    })
    expect(await client.callTool({ name: 'echo', arguments: { a: 1 } })).toMatchObject({ structuredContent: { request: { params: { arguments: { a: 1 } } } } })
    const heard: number[] = []
    await client.callTool({ name: 'progress', arguments: { steps: 3 } }, undefined, { onprogress: ({ progress }) => heard.push(progress) })
    expect(heard).toEqual([1, 2, 3])
    const question = { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: '2+2?' } }], maxTokens: 9 } }
    expect(await client.callTool({ name: 'ask', arguments: question })).toMatchObject({ structuredContent: { answer: { content: { text: 'four' } } } })
  })

  test('may cancel a call, of which the server hears', async () => {
    const who = await me()
    const { client } = await connected(who, await node([who.vid], { options: SDK_SERVER }))
    const leaving = new AbortController()
    const hanging = client.callTool({ name: 'hang', arguments: { key: 'it' } }, undefined, { signal: leaving.signal })
    const heard = async (): Promise<string> => JSON.stringify(await client.callTool({ name: 'heard', arguments: {} }))
    await until('the call to hang', async () => (await heard()).includes('"hanging":["it"]'))
    leaving.abort('not needed')
    await expect(hanging).rejects.toThrow('not needed')
    await until('the end of it', async () => (await heard()).includes('"cancelled":[{"key":"it"'))
  })

  test('sends and gets a megabyte, and twenty calls at once', async () => {
    const who = await me()
    const { client } = await connected(who, await node([who.vid], { options: SDK_SERVER }))
    const text = 'ä'.repeat(500_000)
    expect(await client.callTool({ name: 'echo', arguments: { text } })).toMatchObject({ structuredContent: { request: { params: { arguments: { text } } } } })
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => client.callTool({ name: 'echo', arguments: { n } })))
    expect(answers.map((answer) => JSON.stringify(answer.structuredContent)).map((said, n) => said.includes(`"n":${n}}`))).toEqual(
      Array.from({ length: 20 }, () => true),
    )
  })

  test('is told what is too large for a message of TSP, and goes on', async () => {
    const who = await me()
    const { client } = await connected(who, await node([who.vid], { options: SDK_SERVER }))
    await expect(client.callTool({ name: 'echo', arguments: { text: 'x'.repeat(5 * 1024 * 1024) } })).rejects.toThrow(/4194304 bytes/)
    // What goes in once comes back twice.
    await expect(
      client.callTool({ name: 'progress', arguments: { steps: 1, text: 'x' }, _meta: { progressToken: 'y'.repeat(3 * 1024 * 1024) } }),
    ).resolves.toBeTruthy()
    expect(await client.callTool({ name: 'echo', arguments: { a: 1 } })).toMatchObject({ structuredContent: { request: { params: { arguments: { a: 1 } } } } })
  })

  test('sees of the tools those that its VID may use, and no others', async () => {
    const who = await me()
    const to = await node([{ id: who.vid, tools: ['echo'] }])
    const { client } = await connected(who, to)
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['echo'])
    to.reached()
    await expect(client.callTool({ name: 'secret', arguments: {} })).rejects.toThrow(/Unknown tool/)
    expect(to.reached()).toEqual([])
    expect(await client.callTool({ name: 'echo', arguments: {} })).toMatchObject({ content: [{ text: 'echo' }] })
  })

  test('over HTTP too: each session is one of its own over the one relationship', async () => {
    const who = await me()
    const to = await node([who.vid])
    const { proxy } = await reach(vidOf(to), { keys: who.keys, listen: true })
    const clients = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => {
        const client = new Client({ name, version: '1' })
        await client.connect(new StreamableHTTPClientTransport(proxy.url ?? new URL('http://nowhere')))
        onTestFinished(() => client.close())
        return client
      }),
    )
    expect(await counts(to)).toMatchObject({ sessions: 3 })
    expect(to.log.filter((line) => line.includes('relationship was formed'))).toHaveLength(1)
    for (const client of clients) expect(await client.callTool({ name: 'echo', arguments: {} })).toMatchObject({ content: [{ text: 'echo' }] })
    for (const client of clients) await (client.transport as StreamableHTTPClientTransport).terminateSession() // what they were connected with
    await until('the end of the sessions', async () => (await counts(to))['sessions'] === 0)
  })
})

test('with --isolation shared all clients in front are one session of the VID', async () => {
  const who = await me()
  const to = await node([who.vid])
  const { proxy } = await reach(vidOf(to), { keys: who.keys, listen: true, isolation: 'shared' })
  for (const name of ['a', 'b']) {
    const client = new Client({ name, version: '1' })
    onTestFinished(() => client.close())
    await client.connect(new StreamableHTTPClientTransport(proxy.url ?? new URL('http://nowhere')))
    expect(await client.callTool({ name: 'echo', arguments: {} })).toMatchObject({ content: [{ text: 'echo' }] })
  }
  expect(await counts(to)).toMatchObject({ sessions: 1 })
  expect(calls(to).filter((method) => method === 'initialize')).toHaveLength(1)
})

describe('whoever is not trusted', () => {
  test('is not heard, and hears nothing; who waits is told what may be wrong', async () => {
    const who = await me()
    const to = await node(['did:web:somebody.example'])
    const reaching = await reach(vidOf(to), { keys: who.keys, limits: { connectSeconds: 1 } })
    await expect(clientOf(reaching)).rejects.toThrow(/no answer by TSP within 1 s.*openmcp trust add did:peer:4/)
    expect(reaching.log.join('')).toMatch(/warning: no answer by TSP within 1 s/)
    expect(calls(to)).toEqual([])
    expect(await counts(to)).toMatchObject({ sessions: 0 })
  })

  test('is everybody where nobody is trusted: HTTP asks for tokens, and TSP hears nobody', async () => {
    const to = await node([], { security: { tsp: { modes: ['verify', 'message'], id: 'tsp' } } })
    expect((await ask(to.url, { body: initializeMessage(1) })).status).toBe(401)
    const stranger = await listener()
    // An enrolment link is out: who comes may be related, to redeem it, and nothing else.
    await stranger.node.relate(parseVid(vidOf(to)), 5)
    for (const data of [beginSession().frame, JSON.stringify(initializeMessage(1))]) await stranger.node.send(short(to.tsp), Buffer.from(data))
    await until('both to be dropped', () => count(to, 'reason=unheard') === 2)
    expect(stranger.said).toEqual([])
    expect(calls(to)).toEqual([])
  })

  test('is not even related where there is no token to be had by TSP, though an enrolment link is out', async () => {
    const to = await node([])
    expect(to.enrolment).toBeDefined()
    const stranger = await listener()
    await expect(stranger.node.relate(parseVid(vidOf(to)), 0.5)).rejects.toMatchObject({ code: 'timeout' })
    expect([stranger.said, count(to, 'reason=untrusted'), calls(to)]).toEqual([[], 1, []])
  })

  test('gets nothing with the VID of somebody who is, but keys of its own', async () => {
    const [who, eve] = [await me(), await me()]
    const to = await node([who.vid])
    const { client } = await connected(who, to)
    await client.callTool({ name: 'echo', arguments: {} })
    to.reached()
    const resolution = await resolver().resolve(parseVid(vidOf(to)))
    if (resolution.state !== 'found' || !resolution.tsp) throw new Error('it is known')
    const { message } = sealMessage({
      from: { vid: who.vid, keys: ownKeysOf(eve.identity.secrets) },
      to: { vid: short(to.tsp), keys: peerKeysOf(resolution.tsp) },
      payload: { kind: 'application', data: beginSession().frame },
    })
    const carriage = createCarriage({ trustLoopback: true })
    onTestFinished(carriage.close)
    await carriage.carry(new URL(resolution.tsp.endpoint), message)
    await until('it to be dropped', () => count(to, 'reason=signature') === 1)
    expect(calls(to)).toEqual([])
    expect(await client.callTool({ name: 'echo', arguments: {} })).toMatchObject({ content: [{ text: 'echo' }] })
  })

  test('at another server is told that there is none here, and reaches nothing', async () => {
    const who = await me()
    const to = await node([{ id: who.vid, servers: ['other'] }])
    await expect(connected(who, to)).rejects.toThrow('there is no such server here')
    expect(calls(to)).toEqual([])
  })

  test('any more is out within a second, and its client is told', async () => {
    const who = await me()
    const to = await node([], { durable: true })
    const store = await to.otherProcess()
    await addTrust(store, { id: who.vid })
    // An invite that comes before the node has heard of the trust is lost.
    const { client, reaching } = await until('the node to know', async () => {
      const trying = await reach(vidOf(to), { keys: who.keys, limits: { connectSeconds: 1 } })
      return clientOf(trying).then(
        (one) => ({ client: one, reaching: trying }),
        () => trying.stop().then(() => undefined),
      )
    })
    await client.callTool({ name: 'echo', arguments: {} })
    await removeTrust(store, who.vid)
    expect(await reaching.proxy.ended).toMatchObject({ code: 'session_ended', message: expect.stringContaining('ended') })
    expect(await counts(to)).toMatchObject({ sessions: 0 })
  })
})

describe('a relationship', () => {
  test('goes on while it is used, for days, and not by itself', async () => {
    const who = await me()
    const to = await node([who.vid], { options: { limits: { ...DEFAULT_LIMITS, drainSeconds: 0, idleSeconds: 1_000_000 } } })
    const { client } = await connected(who, to)
    for (let day = 0; day < 4; day++) {
      expect(await client.callTool({ name: 'echo', arguments: {} })).toMatchObject({ content: [{ text: 'echo' }] })
      to.pass(13 * 3600)
    }
    to.pass(13 * 3600)
    await until('the end of the session', async () => (await counts(to))['sessions'] === 0)
  })
})

describe('with --tsp verify alone', () => {
  test('nobody speaks MCP by TSP, and who tries is told', async () => {
    const who = await me()
    const to = await node([who.vid], { security: { tsp: { modes: ['verify'], id: 'tsp' } } })
    const reaching = await reach(vidOf(to), { keys: who.keys, limits: { connectSeconds: 3 } })
    await expect(clientOf(reaching)).rejects.toThrow(/opened no session within 3 s.*--tsp message/)
    expect(calls(to)).toEqual([])
  })
})

describe('what was recorded on the wire', () => {
  test('reaches nothing: within its session, after it, and after a restart', async () => {
    const who = await me()
    const { wire, security } = await behindWire()
    const to = await node([who.vid], { security, durable: true })
    const { client, reaching } = await connected(who, to)
    for (let call = 0; call < 3; call++) await client.callTool({ name: 'echo', arguments: {} })
    const recorded = Buffer.concat(wire.frames())
    expect(wire.frames().length).toBeGreaterThan(5)
    to.reached()

    await wire.play(recorded)
    await until('them to be dropped', () => count(to, 'was there before') >= 5)
    expect(calls(to)).toEqual([])
    await client.callTool({ name: 'echo', arguments: {} })
    expect(calls(to)).toEqual(['tools/call'])

    await reaching.stop()
    await until('the end of the session', async () => (await counts(to))['sessions'] === 0)
    to.reached()
    await wire.play(recorded)
    // Messages of one VID keep their order: before a call of a new session everything of before was looked at.
    expect(await callsOfANewSession(who, to)).toEqual(['initialize', 'notifications/initialized', 'tools/call'])
    expect(await counts(to)).toMatchObject({ sessions: 0 })

    await to.stop()
    const again = await node([who.vid], { security })
    await wire.play(recorded)
    expect(await callsOfANewSession(who, again)).toEqual(['initialize', 'notifications/initialized', 'tools/call'])
    expect(await counts(again)).toMatchObject({ sessions: 0 })
  })
})

async function callsOfANewSession(who: Me, to: Secured): Promise<unknown[]> {
  const { client, reaching } = await connected(who, to)
  await client.callTool({ name: 'echo', arguments: {} })
  await reaching.stop()
  await until('its end', async () => (await counts(to))['sessions'] === 0)
  return calls(to)
}

describe('JSON-RPC without a session', () => {
  test('is answered by an error that says what to do, and reaches nothing; an answer is not answered', async () => {
    const asks = await listener()
    const to = await node([asks.vid])
    await asks.node.relate(parseVid(vidOf(to)), 5)
    const say = (data: object | string): Promise<void> => asks.node.send(short(to.tsp), Buffer.from(typeof data === 'string' ? data : JSON.stringify(data)))
    await say({ jsonrpc: '2.0', id: 7, error: { code: -32600, message: 'no' } })
    await say({ jsonrpc: '2.0', method: 'notifications/initialized' })
    await say('[1]')
    await say(initializeMessage(9))
    const [answer] = await until('an answer', () => asks.said.length > 0 && asks.said)
    expect(JSON.parse(answer ?? '')).toMatchObject({ id: 9, error: { code: -32600, message: expect.stringContaining('sealed sessions') } })
    expect(asks.said).toHaveLength(1)
    expect(calls(to)).toEqual([])
  })
})

describe('when the other side', () => {
  test('is started again, a session goes on as a new one, over HTTP', async () => {
    const who = await me()
    const { security } = await behindWire()
    const first = await node([who.vid], { security })
    const { proxy } = await reach(vidOf(first), { keys: who.keys, listen: true, limits: { connectSeconds: 15 } })
    const url = proxy.url ?? new URL('http://nowhere')
    const call = async (): Promise<unknown> => {
      const client = new Client({ name: 'http', version: '1' })
      onTestFinished(() => client.close())
      await client.connect(new StreamableHTTPClientTransport(url))
      return client.callTool({ name: 'echo', arguments: {} })
    }
    expect(await call()).toMatchObject({ content: [{ text: 'echo' }] })
    await first.stop()
    // It forgot everything: its store was in memory.
    const second = await node([who.vid], { security })
    expect(await call()).toMatchObject({ content: [{ text: 'echo' }] })
    expect(count(second, 'relationship was formed')).toBe(1)
  })

  test('stops, it finishes what it was asked first', async () => {
    const who = await me()
    const to = await node([who.vid], { options: { ...SDK_SERVER, limits: { ...DEFAULT_LIMITS, drainSeconds: 10 } } })
    const { client, reaching } = await connected(who, to)
    const steps: number[] = []
    const calling = client.callTool({ name: 'progress', arguments: { steps: 5, everyMs: 50 } }, undefined, {
      onprogress: ({ progress }) => steps.push(progress),
    })
    await until('it to be at work', () => steps.length > 0)
    await to.stop()
    expect(await calling).toMatchObject({ structuredContent: { steps: 5 } })
    expect(await reaching.proxy.ended).toMatchObject({ message: 'the other side is stopping' })
  })

  test('stops, a client on stdio is told so', async () => {
    const who = await me()
    const to = await node([who.vid])
    const { reaching } = await connected(who, to)
    await to.stop()
    expect(await reaching.proxy.ended).toMatchObject({ code: 'session_ended', message: 'the other side is stopping' })
  })

  test('ends the relationship, what is open in it ends', async () => {
    const asks = await listener()
    const to = await node([asks.vid])
    await asks.node.relate(parseVid(vidOf(to)), 5)
    const beginning = beginSession()
    await asks.node.send(short(to.tsp), beginning.frame)
    const [said] = await until('a session', () => asks.said.length > 0 && asks.said)
    const answer = frameOf(Buffer.from(said ?? ''))
    const session = answer && beginning.answered(answer)
    if (!session || !('opened' in session)) throw new Error('it is opened')
    await asks.node.send(short(to.tsp), session.opened.wrap(JSON.stringify(initializeMessage(1))))
    await until('an answer', () => asks.said.some((text) => text.includes('serverInfo')))
    expect(await counts(to)).toMatchObject({ sessions: 1 })
    await asks.node.cancel(short(to.tsp))
    await until('its end', async () => (await counts(to))['sessions'] === 0)
    await until('the end of what stood behind it', () => to.upstream.received.some(({ method }) => method === 'DELETE'))
  })

  test('is away, words say so at start and to each call, and it is found when it is back', async () => {
    const who = await me()
    const { security } = await behindWire()
    const first = await node([who.vid], { security })
    const vid = vidOf(first)
    await first.stop()
    const { proxy, log } = await reach(vid, { keys: who.keys, listen: true, limits: { connectSeconds: 1 } })
    await until('words', () => log.some((line) => /warning: .*it will be tried again/.test(line)))
    const url = proxy.url ?? new URL('http://nowhere')
    expect((await ask(url, { body: initializeMessage(1) })).text).toMatch(/no answer by TSP within 1 s|broke the connection/)
    await node([who.vid], { security })
    expect(await until('the first answer', async () => (await ask(url, { body: initializeMessage(1) })).status === 200)).toBe(true)
  })
})

describe('a node that is both', () => {
  test('serves what another VID serves, as one VID to all sides', async () => {
    const [who, keys] = [await me(), await ownDirectory()]
    const middle = await newTspIdentity({ dir: keys })
    const last = await node([middle.vid], { options: SDK_SERVER })
    const between = await node([who.vid], {
      security: { keys },
      options: { target: { kind: 'vid', vid: vidOf(last), id: 'tsp', keys } },
    })
    const { client } = await connected(who, between)
    expect(await client.callTool({ name: 'echo', arguments: { a: 1 } })).toMatchObject({ structuredContent: { request: { params: { arguments: { a: 1 } } } } })
    // It speaks to the last one, and for that alone hears nothing of it.
    expect(between.log.join('')).not.toMatch(/warning/)
  })

  test('does not let in whom it speaks to', async () => {
    const [keys, lastKeys] = [await ownDirectory(), await ownDirectory()]
    const middle = await newTspIdentity({ dir: keys })
    await newTspIdentity({ dir: lastKeys })
    const last = await node([middle.vid], { security: { keys: lastKeys } })
    const between = await node(['did:web:somebody.example'], {
      security: { keys },
      options: { target: { kind: 'vid', vid: vidOf(last), id: 'tsp', keys } },
    })
    await until('the relationship', () => count(last, 'relationship was formed') === 1)
    await last.stop()
    const reaching = await reach(vidOf(between), { keys: lastKeys, limits: { connectSeconds: 3 } })
    await expect(clientOf(reaching)).rejects.toThrow(/opened no session within 3 s/)
    expect(count(between, 'reason=unheard')).toBeGreaterThan(0)
  })
})

interface Listener extends Pick<Peer, 'node' | 'vid'> {
  readonly said: string[]
}

/** A peer by hand. */
async function listener(): Promise<Listener> {
  const said: string[] = []
  const { node: own, vid } = await peer()
  own.onHeard(({ data }) => said.push(data.toString()) > 0)
  return { node: own, vid, said }
}

async function counts(to: Secured): Promise<Record<string, unknown>> {
  return (await ask(new URL('/status', to.url))).json
}

function count(to: Secured, words: string): number {
  return to.log.filter((line) => line.includes(words)).length
}
