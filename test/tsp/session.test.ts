// What is recorded of a session is good for nothing: not in it, not in another, not after a restart.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { SealedSession } from '../../src/protocol/sealed-session.ts'
import { closeFrame, frameOf, messageFrame, openedFrame, openFrame, refusedFrame, type SessionFrame } from '../../src/tsp/session-frame.ts'
import { beginSession, createHostedSessions, type HostedSessions } from '../../src/tsp/session.ts'

const NONCE = 'n'.repeat(22)
const NAME = 's'.repeat(40)
const PEER = 'did:example:peer relationship'

describe('a frame', () => {
  test.each<[string, Buffer, SessionFrame]>([
    ['open', openFrame(NONCE), { kind: 'open', nonce: NONCE }],
    ['opened', openedFrame(NONCE, NAME), { kind: 'opened', nonce: NONCE, session: NAME }],
    ['refused', refusedFrame(NONCE, 'busy'), { kind: 'refused', nonce: NONCE, why: 'busy' }],
    ['message', messageFrame(NAME, 12, '{"a":1}'), { kind: 'message', session: NAME, n: 12, message: Buffer.from('{"a":1}') }],
    [
      'message in pieces',
      messageFrame(NAME, 1, [Buffer.from('{"a'), Buffer.from('":1}')]),
      { kind: 'message', session: NAME, n: 1, message: Buffer.from('{"a":1}') },
    ],
    ['message of nothing', messageFrame(NAME, 1, ''), { kind: 'message', session: NAME, n: 1, message: Buffer.alloc(0) }],
    ['close', closeFrame(NAME, 'stopping'), { kind: 'close', session: NAME, why: 'stopping' }],
  ])('%s is read as it was written', (_kind, bytes, frame) => {
    expect(frameOf(bytes)).toEqual(frame)
  })

  test('leaves the message where it is', () => {
    const bytes = messageFrame(NAME, 1, 'x'.repeat(100_000))
    const frame = frameOf(bytes)
    expect(frame?.kind === 'message' && frame.message.buffer).toBe(bytes.buffer)
  })

  test.each<[string, string]>([
    ['nothing', ''],
    ['JSON-RPC', '{"jsonrpc":"2.0","id":1,"method":"ping"}'],
    ['a member before', '{"x":1,"openmcp":"open"}'],
    ['space', `{"openmcp": "open","nonce":"${NONCE}"}`],
    ['an unknown kind', `{"openmcp":"reopen","nonce":"${NONCE}"}`],
    ['a nonce too short', `{"openmcp":"open","nonce":"${NONCE.slice(1)}"}`],
    ['a nonce of other characters', `{"openmcp":"open","nonce":"${'"'.repeat(22)}"}`],
    ['an open with a session', `{"openmcp":"open","nonce":"${NONCE}","session":"${NAME}"}`],
    ['an open with a message', `{"openmcp":"open","nonce":"${NONCE}"}\n{}`],
    ['an open without a nonce', '{"openmcp":"open"}'],
    ['a refused without a nonce', '{"openmcp":"refused","why":"busy"}'],
    ['a refused with a session', `{"openmcp":"refused","nonce":"${NONCE}","session":"${NAME}","why":"busy"}`],
    ['a refused without a reason', `{"openmcp":"refused","nonce":"${NONCE}"}`],
    ['an opened with a reason', `{"openmcp":"opened","nonce":"${NONCE}","session":"${NAME}","why":"busy"}`],
    ['a close with a nonce', `{"openmcp":"close","nonce":"${NONCE}","session":"${NAME}","why":"busy"}`],
    ['an opened without a session', `{"openmcp":"opened","nonce":"${NONCE}"}`],
    ['a message without a line of its own', `{"openmcp":"message","session":"${NAME}","n":1}`],
    ['a message with a nonce', `{"openmcp":"message","nonce":"${NONCE}","session":"${NAME}","n":1}\n{}`],
    ['a message numbered 0', `{"openmcp":"message","session":"${NAME}","n":0}\n{}`],
    ['a message numbered 01', `{"openmcp":"message","session":"${NAME}","n":01}\n{}`],
    ['a message numbered beyond what can be counted', `{"openmcp":"message","session":"${NAME}","n":9007199254740992}\n{}`],
    ['a close with a number', `{"openmcp":"close","session":"${NAME}","n":1,"why":"busy"}`],
    ['a close without a reason', `{"openmcp":"close","session":"${NAME}"}`],
    ['more than one line before the break', `${' '.repeat(200)}{"openmcp":"open","nonce":"${NONCE}"}`],
    ['a member behind', `{"openmcp":"open","nonce":"${NONCE}","x":1}`],
    ['a long head', `{"openmcp":"close","session":"${NAME}","why":"${'x'.repeat(200)}"}`],
  ])('%s is none', (_what, text) => {
    expect(frameOf(Buffer.from(text))).toBeUndefined()
  })
})

describe('whatever the bytes are', () => {
  test('nothing is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom('', '{"openmcp":"', '{"openmcp":"message"'), (bytes, beginning) => {
        expect(() => frameOf(Buffer.concat([Buffer.from(beginning), bytes]))).not.toThrow()
      }),
    )
  })

  test('a message is what was wrapped', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (bytes, n) => {
        expect(frameOf(messageFrame(NAME, n, [Buffer.from(bytes)]))).toEqual({ kind: 'message', session: NAME, n, message: Buffer.from(bytes) })
      }),
    )
  })

  test('of numbers in any order each is taken once, and none that is 1024 behind', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 200 }), (numbers) => {
        const node = hosted()
        const { id } = opened(node)
        const before = new Set<number>()
        for (const n of numbers) {
          const isNew = !before.has(n) && n > Math.max(0, ...before) - 1024
          expect(heard(node, messageFrame(id, n, ''))?.kind).toBe(isNew ? 'message' : 'repeated')
          before.add(n)
        }
      }),
    )
  })
})

describe('a session', () => {
  test('is real with its first message, and messages go both ways', () => {
    const node = hosted()
    const client = opened(node)
    expect(heard(node, client.wrap('hello'))).toMatchObject({ kind: 'message', isFirst: true, message: Buffer.from('hello') })
    const second = heard(node, client.wrap('again'))
    expect(second).toMatchObject({ kind: 'message', isFirst: false })
    if (second?.kind !== 'message') return
    const back = frameOf(second.session.wrap('answer'))
    expect(back).toMatchObject({ kind: 'message', session: client.id, n: 1 })
    expect(back?.kind === 'message' && [client.takes(back.n), client.takes(back.n)]).toEqual([true, false])
  })

  test('takes each message once', () => {
    const node = hosted()
    const client = opened(node)
    const [one, two, three] = [client.wrap('1'), client.wrap('2'), client.wrap('3')]
    expect([three, one, three, two, one, two].map((frame) => heard(node, frame)?.kind)).toEqual([
      'message',
      'message',
      'repeated',
      'message',
      'repeated',
      'repeated',
    ])
  })

  test('takes the last 1024 in any order, and nothing older', () => {
    const node = hosted()
    const client = opened(node)
    const frames = Array.from({ length: 1026 }, () => client.wrap(''))
    const at = (n: number): string | undefined => heard(node, frames[n - 1] ?? Buffer.alloc(0))?.kind
    expect([at(1026), at(1), at(2), at(3), at(3), at(1025)]).toEqual(['message', 'repeated', 'repeated', 'message', 'repeated', 'message'])
  })

  test('is not far into its numbers by a leap of a peer', () => {
    const node = hosted()
    const { id } = opened(node)
    expect(
      [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1023, Number.MAX_SAFE_INTEGER - 1024].map((n) => heard(node, messageFrame(id, n, ''))?.kind),
    ).toEqual(['message', 'message', 'repeated'])
  })

  test('is there for its own peer and relationship alone', () => {
    const node = hosted()
    const client = opened(node)
    const first = client.wrap('1')
    for (const other of ['did:example:other relationship', 'did:example:peer next'])
      expect(said(node, first, other)).toMatchObject({ kind: 'close', session: client.id })
    expect(heard(node, first)?.kind).toBe('message')
    for (const other of ['did:example:other relationship', 'did:example:peer next']) {
      expect(said(node, client.wrap('2'), other)).toMatchObject({ kind: 'close', why: 'session_unknown' })
      expect(heard(node, closeFrame(client.id, 'stopping'), other)).toBeUndefined()
    }
    expect(heard(node, client.wrap('3'))?.kind).toBe('message')
  })

  test('that was ended does not come back, by its first message or by another', () => {
    const node = hosted()
    const client = opened(node)
    const frames = [client.wrap('1'), client.wrap('2')]
    expect(frames.map((frame) => heard(node, frame)?.kind)).toEqual(['message', 'message'])
    expect(frameOf(node.end(PEER, client.id, 'stopping') ?? Buffer.alloc(0))).toEqual({ kind: 'close', session: client.id, why: 'stopping' })
    expect(node.end(PEER, client.id, 'stopping')).toBeUndefined()
    for (const frame of [...frames, client.wrap('3')]) expect(said(node, frame)).toEqual({ kind: 'close', session: client.id, why: 'session_unknown' })
  })

  test('that its client closed is over', () => {
    const node = hosted()
    const client = opened(node)
    const first = client.wrap('1')
    heard(node, first)
    expect(heard(node, closeFrame(client.id, 'session_ended'))).toEqual({ kind: 'closed', session: client.id })
    expect(said(node, first)).toMatchObject({ kind: 'close' })
  })

  test('does not outlive a restart of the node', () => {
    const before = hosted()
    const client = opened(before)
    const first = client.wrap('1')
    heard(before, first)
    const after = hosted()
    for (const frame of [first, client.wrap('2')]) expect(said(after, frame)).toMatchObject({ kind: 'close', why: 'session_unknown' })
  })

  test('is not to be had with a name that was made up', () => {
    expect(said(hosted(), messageFrame('A'.repeat(40), 1, ''))).toMatchObject({ kind: 'close', why: 'session_unknown' })
  })

  test('has to be begun within 30 seconds', () => {
    let ms = 1_000_000
    const node = hosted({ now: () => ms })
    const [inTime, late] = [opened(node), opened(node)]
    ms += 29_999
    expect(heard(node, inTime.wrap('1'))?.kind).toBe('message')
    ms += 1
    expect(said(node, late.wrap('1'))).toMatchObject({ why: 'session_unknown' })
    expect(heard(node, inTime.wrap('2'))?.kind).toBe('message')
  })

  test('that ended at once does not come back when the end is forgotten', () => {
    let ms = 1_000_000
    const node = hosted({ now: () => ms })
    const client = opened(node)
    const first = client.wrap('1')
    heard(node, first)
    node.end(PEER, client.id, 'stopping')
    for (const later of [15_000, 14_999, 1, 1, 60_000]) {
      ms += later
      heard(node, opened(node).wrap('another'))
      expect(said(node, first)).toMatchObject({ why: 'session_unknown' })
    }
  })

  test('that ended does not come back when the clock is put back', () => {
    let ms = 1_000_000
    const node = hosted({ now: () => ms })
    const client = opened(node)
    const first = client.wrap('1')
    heard(node, first)
    node.end(PEER, client.id, 'stopping')
    ms += 60_000
    expect(heard(node, opened(node).wrap('another'))?.kind).toBe('message')
    ms -= 60_000
    expect(said(node, first)).toMatchObject({ why: 'session_unknown' })
    expect(heard(node, opened(node).wrap('1'))?.kind).toBe('message')
  })

  test('is refused when the peer has as many as it may have, and another peer has its own', () => {
    const node = hosted({ mostPerPeer: 2 })
    const [one, two, three] = [opened(node), opened(node), opened(node)]
    expect([one, two].map((client) => heard(node, client.wrap('1'))?.kind)).toEqual(['message', 'message'])
    expect(said(node, three.wrap('1'))).toMatchObject({ why: 'busy' })
    expect(said(node, openFrame(NONCE))).toEqual({ kind: 'refused', nonce: NONCE, why: 'busy' })
    expect(said(node, openFrame(NONCE), 'did:example:other relationship')).toMatchObject({ kind: 'opened' })
    node.end(PEER, one.id, 'stopping')
    expect(heard(node, opened(node).wrap('1'))?.kind).toBe('message')
  })

  test('is refused to a peer that opens and ends too many, for a while', () => {
    let ms = 1_000_000
    const node = hosted({ now: () => ms })
    for (let ended = 0; ended < 1024; ended++) {
      const client = opened(node)
      expect(heard(node, client.wrap(''))?.kind).toBe('message')
      node.end(PEER, client.id, 'stopping')
    }
    expect(said(node, opened(node).wrap(''))).toMatchObject({ why: 'busy' })
    expect(heard(node, opened(node, 'another').wrap(''), 'another')?.kind).toBe('message')
    ms += 30_000
    expect(heard(node, opened(node).wrap(''))?.kind).toBe('message')
  })
})

describe('an opening that is sent again', () => {
  test('gives another name each time, and no session', () => {
    const node = hosted({ mostPerPeer: 1 })
    const frame = beginSession().frame
    const names = Array.from({ length: 1000 }, () => said(node, frame))
    expect(new Set(names.map((answer) => answer?.kind === 'opened' && answer.session)).size).toBe(1000)
    expect(heard(node, opened(node).wrap('1'))?.kind).toBe('message')
  })

  test('is no answer to a client that begins anew', () => {
    const node = hosted()
    const [before, now] = [beginSession(), beginSession()]
    const old = said(node, before.frame)
    expect(old && now.answered(old)).toBeUndefined()
    expect(now.answered(frameOf(messageFrame(NAME, 1, '')) ?? { kind: 'open', nonce: NONCE })).toBeUndefined()
  })

  test('that is refused says why', () => {
    const client = beginSession()
    const frame = frameOf(client.frame)
    const refused = frame?.kind === 'open' ? frameOf(refusedFrame(frame.nonce, 'busy')) : undefined
    expect(refused && client.answered(refused)).toEqual({ refused: 'busy' })
  })
})

test('what is for a client is nothing to a node', () => {
  const node = hosted()
  expect(heard(node, openedFrame(NONCE, NAME))).toBeUndefined()
  expect(heard(node, refusedFrame(NONCE, 'busy'))).toBeUndefined()
  expect(heard(node, closeFrame(NAME, 'busy'))).toBeUndefined()
})

function hosted(options: { mostPerPeer?: number; now?: () => number } = {}): HostedSessions {
  return createHostedSessions({ mostPerPeer: 100_000, now: Date.now, ...options })
}

function heard(node: HostedSessions, bytes: Buffer, peer = PEER): ReturnType<HostedSessions['hear']> {
  const frame = frameOf(bytes)
  if (!frame) throw new Error('no frame')
  return node.hear(peer, frame)
}

function said(node: HostedSessions, bytes: Buffer, peer = PEER): SessionFrame | undefined {
  const hearing = heard(node, bytes, peer)
  return hearing?.kind === 'answer' ? frameOf(hearing.frame) : undefined
}

function opened(node: HostedSessions, peer = PEER): SealedSession {
  const beginning = beginSession()
  const answer = said(node, beginning.frame, peer)
  const session = answer && beginning.answered(answer)
  if (!session || !('opened' in session)) throw new Error('it was not opened')
  return session.opened
}
