// Messages over a connection of their own: TCP lines and WebSocket frames, which are the same to whoever uses them.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { OpenMcpError } from '../../src/errors.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import type { Credential } from '../../src/upstream/options.ts'
import type { OpenedPipe, PipeEvents } from '../../src/upstream/pipe.ts'
import { openTcp } from '../../src/upstream/tcp.ts'
import type { Way } from '../../src/upstream/way.ts'
import { openWebSocket } from '../../src/upstream/websocket.ts'
import { forwardProxy } from '../support/forward-proxy.ts'
import { linePeer } from '../support/line-peer.ts'
import { until } from '../support/until.ts'
import { webSocketPeer } from '../support/web-socket.ts'

interface Peer {
  readonly url: URL
  readonly heard: readonly string[]
  says(text: string): void
  cut(): void
  stop(): Promise<void>
}

interface Opened {
  readonly pipe: OpenedPipe
  readonly lines: string[]
  readonly tooLong: string[]
  readonly ends: OpenMcpError[]
}

const SMALL: Limits = { ...DEFAULT_LIMITS, messageBytes: 2048, connectSeconds: 1 }
const HEADERS = { 'x-key': 'value' }

function opened(url: URL, limits = SMALL, { credential, ...more }: { credential?: Credential; way?: Way } = {}): Opened {
  const lines: string[] = []
  const tooLong: string[] = []
  const ends: OpenMcpError[] = []
  const events: PipeEvents = {
    line: (bytes) => void lines.push(bytes.toString()),
    tooLong: (head) => void tooLong.push(head.toString()),
    ended: (error) => void ends.push(error),
  }
  const pipe = url.protocol === 'tcp:' ? openTcp(url, events, limits) : openWebSocket({ url, headers: HEADERS, ...more }, events, limits, credential)
  onTestFinished(() => pipe.close())
  return { pipe, lines, tooLong, ends }
}

const KINDS = {
  async tcp(): Promise<Peer> {
    const peer = await linePeer()
    return { ...peer, url: new URL(`tcp://${peer.host}`), says: (text) => peer.says(`${text}\n`) }
  },
  async ws(): Promise<Peer> {
    const peer = await webSocketPeer()
    return { ...peer, url: new URL(`ws://${peer.host}/mcp`) }
  },
}

describe.each(['tcp', 'ws'] as const)('%s', (kind) => {
  async function connected(limits?: Limits): Promise<Opened & { peer: Peer }> {
    const peer = await KINDS[kind]()
    onTestFinished(peer.stop)
    return { ...opened(peer.url, limits), peer }
  }

  test('carries messages both ways, and what is sent early waits', async () => {
    const { pipe, peer, lines } = await connected()
    pipe.send('{"a":1}')
    pipe.send('{"b":"ü"}')
    await pipe.started
    await until('both', () => peer.heard.length === 2)
    expect(peer.heard).toEqual(['{"a":1}', '{"b":"ü"}'])
    peer.says('{"c":"é"}')
    await until('the answer', () => lines.length === 1)
    expect(lines).toEqual(['{"c":"é"}'])
  })

  test('ends once, with words, when the other side is gone', async () => {
    const { pipe, peer, ends } = await connected()
    await pipe.started
    pipe.send('{}')
    await until('the message', () => peer.heard.length === 1)
    peer.cut()
    await until('the end', () => ends.length > 0)
    expect(ends).toEqual([expect.objectContaining({ code: 'upstream_broke', message: expect.stringContaining(peer.url.host) })])
    pipe.send('{}')
    await pipe.close()
    await pipe.close()
    expect(ends).toHaveLength(1)
  })

  test('that is closed says nothing more', async () => {
    const { pipe, peer, lines, ends } = await connected()
    await pipe.started
    await pipe.close()
    peer.says('{}')
    peer.cut()
    const later = opened(peer.url)
    await later.pipe.started
    expect([lines, ends]).toEqual([[], []])
  })

  test('that nobody answers fails as unreachable, and its words name no secret', async () => {
    const peer = await KINDS[kind]()
    await peer.stop()
    const { pipe, ends } = opened(peer.url)
    pipe.send('{}')
    await expect(pipe.started).rejects.toMatchObject({ code: 'upstream_unreachable', message: expect.stringContaining(peer.url.host) })
    await until('the end', () => ends.length === 1)
    expect(ends[0]?.code).toBe('upstream_unreachable')
  })

  test('may be closed before it is open', async () => {
    const { pipe, ends, peer } = await connected()
    pipe.send('{}')
    await pipe.close()
    await pipe.started.catch(() => {})
    expect([ends, peer.heard.length]).toEqual([[], 0])
  })
})

describe('over TCP', () => {
  test('a line that is too long is passed over, and reading goes on behind it', async () => {
    const peer = await linePeer()
    onTestFinished(peer.stop)
    const { pipe, lines, tooLong } = opened(new URL(`tcp://${peer.host}`))
    await pipe.started
    await until('the connection', () => peer.connections === 1)
    peer.says(`{"id":1,"x":"${'x'.repeat(5000)}"}\n{"id":2}\n`)
    await until('the next', () => lines.length === 1)
    expect([lines, tooLong.length]).toEqual([['{"id":2}'], 1])
  })

  test('host names are looked up, and an IPv6 address is read out of its brackets', async () => {
    const peer = await linePeer()
    onTestFinished(peer.stop)
    await opened(new URL(`tcp://localhost:${peer.port}`)).pipe.started
    await expect(opened(new URL(`tcp://[::1]:${peer.port}`)).pipe.started).rejects.toMatchObject({ code: 'upstream_unreachable' })
    await expect(opened(new URL(`tcp://nowhere.invalid:${peer.port}`)).pipe.started).rejects.toMatchObject({ code: 'upstream_unreachable' })
  })
})

describe('over a WebSocket', () => {
  async function connected(limits?: Limits): Promise<Opened & { peer: Awaited<ReturnType<typeof webSocketPeer>> }> {
    const peer = await webSocketPeer()
    onTestFinished(peer.stop)
    const open = opened(new URL(`ws://${peer.host}/mcp?x=1`), limits)
    await open.pipe.started
    return { ...open, peer }
  }

  test('the opening request has our headers and asks for the subprotocol', async () => {
    const { peer } = await connected()
    expect(peer.opened).toMatchObject([{ 'x-key': 'value', 'sec-websocket-protocol': 'mcp' }])
  })

  test('a message may come in several frames, and its line breaks are no ends of it', async () => {
    const { peer, lines } = await connected()
    peer.says('{\n"a":\r\n"ü"}', { inFrames: 5 })
    await until('it', () => lines.length === 1)
    expect(lines).toEqual(['{ "a":  "ü"}'])
  })

  test.each([
    ['a message that is too large', 'x'.repeat(5000), 1],
    ['one that grows by frames', 'x'.repeat(5000), 50],
  ])('%s ends it', async (_what, text, inFrames) => {
    const { peer, ends, lines } = await connected()
    peer.says(text, { inFrames })
    await until('the end', () => ends.length === 1)
    expect([ends[0]?.code, lines]).toEqual(['upstream_broke', []])
  })

  test('bytes end it', async () => {
    const { peer, ends } = await connected()
    peer.says(Buffer.from([1, 2, 3]))
    await until('the end', () => ends.length === 1)
    expect(ends[0]?.message).toContain('bytes where text belongs')
  })

  test.each([
    [401, 'upstream_refused', '--header-file'],
    [403, 'upstream_refused', '--header-file'],
    [404, 'upstream_not_mcp', 'check the path'],
    [307, 'upstream_not_mcp', 'check the path'],
    [500, 'upstream_not_mcp', 'http://'],
  ])('HTTP %i instead of one is told as what it is', async (refuse, code, hint) => {
    const peer = await webSocketPeer({ refuse })
    onTestFinished(peer.stop)
    await expect(opened(new URL(`ws://${peer.host}/x?key=hunter2`)).pipe.started).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(`^(?!.*hunter2).*HTTP ${refuse}`)),
      hint: expect.stringContaining(hint),
    })
    expect(peer.opened).toHaveLength(1)
  })

  test('one that wants a credential gets it with the second opening request, and what was sent early waits for that', async () => {
    const peer = await webSocketPeer({ wants: 'Bearer good' })
    onTestFinished(peer.stop)
    const refusals: unknown[] = []
    let token: string | undefined
    const credential: Credential = {
      headers: ({ url }) => (refusals.push(url.href), token === undefined ? {} : { authorization: `Bearer ${token}` }),
      async refused(_request, refusal) {
        refusals.push(refusal)
        token = 'good'
        return true
      },
    }
    const { pipe } = opened(new URL(`ws://${peer.host}/mcp`), SMALL, { credential })
    pipe.send('{"a":1}')
    await pipe.started
    await until('it', () => peer.heard.length === 1)
    const asked = `http://${peer.host}/mcp`
    expect(refusals).toEqual([asked, { status: 401, challenge: 'Bearer scope="mcp"', nonce: undefined, sent: {} }, asked])
    expect(peer.opened.map(({ authorization }) => authorization)).toEqual([undefined, 'Bearer good'])
  })

  test('a credential that is not taken is not shown for ever', async () => {
    const peer = await webSocketPeer({ wants: 'Bearer good' })
    onTestFinished(peer.stop)
    const credential: Credential = { headers: () => ({ authorization: 'Bearer bad' }), refused: async () => true }
    await expect(opened(new URL(`ws://${peer.host}/mcp`), SMALL, { credential }).pipe.started).rejects.toMatchObject({ code: 'upstream_refused' })
    expect(peer.opened).toHaveLength(2)
  })

  test('it goes through a proxy where there is one', async () => {
    const peer = await webSocketPeer()
    onTestFinished(peer.stop)
    const proxy = await forwardProxy({ to: Number(new URL(`ws://${peer.host}`).port) })
    onTestFinished(proxy.stop)
    const way = { proxies: { http: new URL(`http://${proxy.host}`), except: '' } }
    const { pipe } = opened(new URL('ws://mcp.example.test/mcp'), SMALL, { way })
    await pipe.started
    expect([proxy.asked, peer.opened[0]?.host]).toEqual([['mcp.example.test:80'], 'mcp.example.test'])
  })

  test('a proxy that opens no way is what is told', async () => {
    const proxy = await forwardProxy({ to: 1, refuse: 403 })
    onTestFinished(proxy.stop)
    const way = { proxies: { http: new URL(`http://u:hunter2@${proxy.host}`), except: '' } }
    const message = `the proxy ${proxy.host} opens no way to mcp.example.test:80 (HTTP 403)`
    await expect(opened(new URL('ws://mcp.example.test/mcp'), SMALL, { way }).pipe.started).rejects.toMatchObject({ code: 'upstream_unreachable', message })
  })
})
