// Sessions with a VID, over a node that is played by hand: what is sent is kept, and what comes is said by calling it.
import { describe, expect, onTestFinished, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { parseVid, type Vid } from '../../src/identity/vid.ts'
import type { SealedEnd } from '../../src/protocol/sealed-session.ts'
import type { Heard } from '../../src/tsp/endpoint-options.ts'
import { closeFrame, frameOf, messageFrame, openedFrame, openFrame, refusedFrame } from '../../src/tsp/session-frame.ts'
import { createSessionWay, type SessionWay } from '../../src/tsp/session-way.ts'
import { until } from '../support/until.ts'

const REMOTE = parseVid('did:web:far.example')
const NAMES = ['A', 'B', 'C'].map((letter) => letter.repeat(40))

describe('a session', () => {
  test('is begun in the relationship that is there', async () => {
    const { opened, related } = played({ isRelated: true })
    await opened()
    expect(related()).toBe(0)
  })

  test('begins a relationship where there is none, and several at once begin one', async () => {
    const { opened, related } = played()
    await Promise.all([opened(), opened()])
    expect(related()).toBe(1)
  })

  test('asks for a relationship again when the other side knows none, and says so when that was not it', async () => {
    const { way, related, says, sent } = played({ isRelated: true, answers: () => [] })
    const opening = way.open(NOTHING)
    await until('another relationship', () => related() === 1)
    const [first, second] = await until('another try', () => sent.length === 2 && sent)
    expect(first).toEqual(second)
    says(openedFrame(nonceOf(first), NAMES[0] ?? ''))
    await expect(opening).resolves.toBeTruthy()
  })

  test('does not disturb a relationship in which others are spoken with', async () => {
    let answers: Answers = opensAll
    const { way, opened, related, says } = played({ isRelated: true, connectSeconds: 3, answers: (frame) => answers(frame) })
    const { name } = await opened()
    answers = () => []
    const opening = way.open(NOTHING)
    await new Promise((resolve) => setImmediate(resolve))
    says(messageFrame(name, 1, '{}'))
    await expect(opening).rejects.toMatchObject({ code: 'timeout', message: `${REMOTE} opened no session within 3 s` })
    expect(related()).toBe(0)
  })

  test('is not begun any more when the relationship ends, and its answer comes too late', async () => {
    const { way, ended, says, sent } = played({ isRelated: true, answers: () => [] })
    const opening = way.open(NOTHING)
    const [frame] = await until('the beginning', () => sent.length > 0 && sent)
    ended(REMOTE)
    await expect(opening).rejects.toMatchObject({ code: 'session_ended' })
    expect(says(openedFrame(nonceOf(frame), NAMES[0] ?? ''))).toBe(false)
  })

  test('that is refused says why', async () => {
    const { way } = played({ answers: (frame) => [refusedFrame(nonceOf(frame), 'busy')] })
    await expect(way.open(NOTHING)).rejects.toMatchObject({ code: 'busy', message: 'the other side has no session left for us' })
  })

  test('is not opened by an answer to another, nor by somebody else', async () => {
    const { way, says, sent } = played({ isRelated: true, answers: () => [] })
    let isOpen = false
    const opening = way.open(NOTHING).then(() => (isOpen = true))
    const [frame] = await until('the beginning', () => sent.length > 0 && sent)
    expect(says(openedFrame('n'.repeat(22), NAMES[0] ?? ''))).toBe(false)
    expect(says(openedFrame(nonceOf(frame), NAMES[0] ?? ''), parseVid('did:web:other.example'))).toBe(false)
    await new Promise((resolve) => setImmediate(resolve))
    expect(isOpen).toBe(false)
    expect(says(openedFrame(nonceOf(frame), NAMES[0] ?? ''))).toBe(true)
    await opening
  })

  test('fails as reaching the other does', async () => {
    const { way } = played({ relate: () => Promise.reject(new OpenMcpError('upstream_unreachable', 'refused')) })
    await expect(way.open(NOTHING)).rejects.toMatchObject({ message: 'refused' })
    await expect(way.reach()).rejects.toMatchObject({ message: 'refused' })
  })
})

describe('an open session', () => {
  test('hears each message once, and what is of no session of ours is for others', async () => {
    const { opened, says, used } = played()
    const { name, heard } = await opened()
    const frames = [1, 2, 3].map((n) => messageFrame(name, n, String(n)))
    expect([...frames, ...frames].map((frame) => says(frame))).toEqual([true, true, true, true, true, true])
    expect([heard, used()]).toEqual([['1', '2', '3'], 3])
    expect(
      [messageFrame(NAMES[2] ?? '', 1, 'x'), closeFrame(NAMES[2] ?? '', 'x'), openFrame('n'.repeat(22)), Buffer.from('{}')].map((frame) => says(frame)),
    ).toEqual([false, false, false, false])
    expect(says(frames[0] ?? Buffer.alloc(0), parseVid('did:web:other.example'))).toBe(false)
  })

  test.each([
    ['session_unknown', 'session_ended', /does not know the session any more/],
    ['stopping', 'session_ended', /is stopping/],
    ['busy', 'busy', /no session left/],
    ['child_failed', 'session_ended', /ended the session \(child_failed\)/],
  ])('that is closed with %s says so', async (why, code, words) => {
    const { opened, says } = played()
    const { name, ends, end } = await opened()
    says(closeFrame(name, why))
    says(closeFrame(name, why))
    expect(ends).toMatchObject([{ code, message: expect.stringMatching(words) }])
    await expect(end.send('x')).rejects.toMatchObject({ code: 'session_ended' })
  })

  test('ends with the relationship', async () => {
    const { opened, ended } = played()
    const { ends } = await opened()
    ended(parseVid('did:web:other.example'))
    expect(ends).toEqual([])
    ended(REMOTE)
    expect(ends).toMatchObject([{ code: 'session_ended', message: `the TSP relationship with ${REMOTE} has ended` }])
  })

  test('ends when the relationship has run out, which is learned by sending', async () => {
    const { opened, breaks } = played()
    const { ends, end } = await opened()
    breaks(new OpenMcpError('untrusted', 'there is no relationship'))
    await expect(end.send('x')).rejects.toMatchObject({ code: 'untrusted' })
    expect(ends).toMatchObject([{ code: 'session_ended' }])
  })

  test('goes on when one message could not be sent', async () => {
    const { opened, breaks, says } = played()
    const { name, ends, end, heard } = await opened()
    breaks(new OpenMcpError('upstream_unreachable', 'gone'))
    await expect(end.send('x')).rejects.toMatchObject({ code: 'upstream_unreachable' })
    says(messageFrame(name, 1, 'here'))
    expect([ends, heard]).toEqual([[], ['here']])
  })

  test('of which nothing is heard is asked whether it is there, and ends when nobody says so', async () => {
    let ms = 0
    const { opened, sent, says } = played({ now: () => ms, quietMs: 20 })
    const { name, ends, heard } = await opened()
    ms += 20
    await until('a question', () => sent.some((frame) => kindOf(frame) === 'message'))
    says(messageFrame(name, 1, ''))
    expect(heard).toEqual([])
    ms += 40
    await until('another question', () => sent.filter((frame) => kindOf(frame) === 'message').length > 1)
    expect(ends).toEqual([])
    ms += 20
    await until('the end', () => ends.length > 0)
    expect(ends).toMatchObject([{ code: 'upstream_unreachable', message: `${REMOTE} has not been heard of for 0 s` }])
  })

  test('that is left tells the other side, and hears nothing more', async () => {
    const { opened, says, sent } = played()
    const { name, end, heard } = await opened()
    await end.close()
    await end.close()
    expect(sent.filter((frame) => kindOf(frame) === 'close')).toHaveLength(1)
    expect(says(messageFrame(name, 1, 'late'))).toBe(false)
    expect(heard).toEqual([])
  })

  test('is ended when openmcp stops, and the other side is told', async () => {
    const { way, opened, sent } = played()
    const { ends } = await opened()
    await way.close()
    expect(ends).toMatchObject([{ code: 'stopping' }])
    expect(frameOf(sent.at(-1) ?? Buffer.alloc(0))).toMatchObject({ kind: 'close', why: 'stopping' })
  })
})

const NOTHING = { heard: () => {}, ended: () => {} }

type Answers = (frame: Buffer) => Buffer[]

interface Played {
  readonly way: SessionWay
  readonly sent: readonly Buffer[]
  /** How often a relationship was asked for. */
  related(): number
  /** How often the relationship was used by what is new. */
  used(): number
  /** False: it is for somebody else. */
  says(frame: Buffer, from?: Vid): boolean
  ended(remote: Vid): void
  breaks(error: OpenMcpError): void
  opened(): Promise<{ name: string; end: SealedEnd; heard: string[]; ends: OpenMcpError[] }>
}

interface PlayedOptions {
  isRelated?: boolean
  answers?: Answers
  relate?: () => Promise<void>
  connectSeconds?: number
  now?: () => number
  quietMs?: number
}

let names = 0
const opensAll: Answers = (frame) => (kindOf(frame) === 'open' ? [openedFrame(nonceOf(frame), NAMES[names++ % NAMES.length] ?? '')] : [])

function played({
  isRelated = false,
  answers = opensAll,
  relate = async () => {},
  connectSeconds = 10,
  now = Date.now,
  quietMs = 60_000,
}: PlayedOptions = {}): Played {
  const sent: Buffer[] = []
  let hear: (heard: Heard) => boolean = () => false
  let change: Parameters<Parameters<typeof createSessionWay>[0]['node']['onChanged']>[0] = () => {}
  let broken: OpenMcpError | undefined
  let related = 0
  let isThere = isRelated
  let used = 0
  const relationship = { id: 'relationship', untilMs: Infinity }
  const says: Played['says'] = (data, from = REMOTE) => hear({ from, data, relationship })
  const way = createSessionWay({
    node: {
      onHeard(given) {
        hear = given
        return () => (hear = () => false)
      },
      onChanged(given) {
        change = given
        return () => (change = () => {})
      },
      async relate() {
        related++
        await relate()
        isThere = true
      },
      isUsed() {
        used++
      },
      relationshipWith: async () => (isThere ? relationship : undefined),
      async send(_remote, data) {
        if (broken) throw broken
        const frame = Buffer.from(data)
        sent.push(frame)
        for (const answer of answers(frame)) setImmediate(() => says(answer))
      },
    },
    remote: REMOTE,
    connectSeconds,
    now,
    quietMs,
  })
  onTestFinished(way.close)
  return {
    way,
    sent,
    related: () => related,
    used: () => used,
    says,
    ended: (remote) => change(remote, 'ended', relationship),
    breaks: (error) => void (broken = error),
    async opened() {
      const [heard, ends]: [string[], OpenMcpError[]] = [[], []]
      const end = await way.open({ heard: (message) => heard.push(message.toString()), ended: (error) => ends.push(error) })
      await end.send('hello')
      const frame = frameOf(sent.at(-1) ?? Buffer.alloc(0))
      if (frame?.kind !== 'message') throw new Error('it was sent')
      return { name: frame.session, end, heard, ends }
    },
  }
}

function kindOf(frame: Buffer): string | undefined {
  return frameOf(frame)?.kind
}

function nonceOf(frame: Buffer | undefined): string {
  const opening = frame && frameOf(frame)
  if (opening?.kind !== 'open') throw new Error('it opens')
  return opening.nonce
}
