// Many clients with equal ids and progress tokens on one pipe, in any order of events, against a plain model of who is meant.
import { array, assert, constantFrom, nat, property, tuple } from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import type { Link } from '../../src/protocol/exchange.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { isObject, parsePost, type JsonObject, type JsonRpcId } from '../../src/protocol/message.ts'
import { createMux } from '../../src/upstream/mux.ts'
import { SILENT, scriptedPipe } from './scripted-pipe.ts'

/** Ids and tokens are few, so that they collide: among clients, with each other and with the numbers of the mux. */
const IDS: readonly JsonRpcId[] = [1, 2, '1', 'a', 0, '', 'x","id":2}']
const TOKENS: readonly (JsonRpcId | undefined)[] = [undefined, 1, 2, 't', '']
/** All but the first two need a capability, which only every other client offers. */
const QUESTIONS = ['x/custom', 'ping', 'sampling/createMessage', 'elicitation/create', 'roots/list']
const BIG = 'y'.repeat(70_000)
const CLIENTS = 5
const WORDS: unknown = expect.any(String)
const ANY_NUMBER: unknown = expect.any(Number)

interface Client {
  readonly name: string
  readonly offers: boolean
  readonly link: Link
  left: boolean
}

interface Call {
  readonly name: string
  readonly client: Client
  readonly id: JsonRpcId
  readonly token: JsonRpcId | undefined
  /** As the server knows it. */
  readonly inner: JsonRpcId
  readonly innerToken: JsonRpcId | undefined
  cancelled: boolean
}

/** Something that reached a client: to whom, as what, and what it says. */
interface Told {
  to: string
  as: 'message' | 'answer' | 'failed' | 'withdrawn' | 'unsolicited' | 'ended'
  says: unknown
}

function createWorld(shared: boolean) {
  const server = scriptedPipe()
  const mux = createMux({ open: server.open, shared, limits: { ...DEFAULT_LIMITS, timeoutSeconds: 0 }, log: SILENT, now: Date.now, onEnd: () => {} })
  let told: Told[] = []
  const clients: Client[] = []
  let open: Call[] = []
  const over: Call[] = []
  const asked = new Map<JsonRpcId, Client>()
  const inners = new Set<JsonRpcId>()
  const ends = new Map<string, number>()
  /** Somebody left with a call in flight: what the server says without naming a call may be of that one. mux.test.ts looks at it. */
  let isHaunted = false
  let serial = 0

  const note =
    (to: string, as: Told['as']) =>
    (text: string | readonly Buffer[]): void => {
      const line = typeof text === 'string' ? text : Buffer.concat(text).toString()
      expect(line).not.toMatch(/[\r\n]/)
      told.push({ to, as, says: JSON.parse(line) })
    }
  /** Looks at what came of one event: exactly this, and nothing else to anybody. */
  function expectOnly({ toServer = [], toClients = [] }: { toServer?: object[]; toClients?: Told[] }): void {
    const now = told
    told = []
    expect({ toServer: server.taken(), toClients: now }).toEqual({ toServer, toClients })
  }
  const isBusy = (client: Client): boolean => open.some((call) => call.client === client)
  const newestOf = (client: Client): Call | undefined => open.findLast((call) => call.client === client)
  const joined = (): Client[] => clients.filter(({ left }) => !left)
  const pick = <T>(from: readonly T[], at: number): T | undefined => from[at % from.length]
  /** To the newest call of this client, or beside its calls. */
  const toClient = (client: Client, says: unknown): Told => {
    const call = newestOf(client)
    return call ? { to: call.name, as: 'message', says } : { to: client.name, as: 'unsolicited', says }
  }
  const onlyBusy = (): Client | undefined => {
    const busy = joined().filter(isBusy)
    return busy.length === 1 ? busy[0] : undefined
  }
  function finish(call: Call): void {
    open = open.filter((one) => one !== call)
    over.push(call)
  }

  function initialize(link: Link, offers: boolean): void {
    const answered: unknown[] = []
    const params = { capabilities: offers ? { sampling: {}, elicitation: {}, roots: {} } : {} }
    const reply = { message: unwanted, answer: (id: unknown) => answered.push(id), failed: unwanted, withdrawn: unwanted }
    link.send(parsePost(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 'hello', method: 'initialize', params })), 20), {}, reply)
    const [sent] = server.taken()
    if (sent) server.says({ jsonrpc: '2.0', id: sent['id'], result: {} })
    if (shared && sent) inners.add(sent['id'] as JsonRpcId) // the mux made it
    expect(answered).toEqual(['hello'])
  }

  const events = {
    join() {
      // A pipe of its own ends with its client.
      if (joined().length >= CLIENTS || (!shared && clients.length > 0)) return
      const name = `client ${clients.length}`
      const link = mux.join({ unsolicited: note(name, 'unsolicited'), ended: (error) => told.push({ to: name, as: 'ended', says: error.code }) })
      const offers = clients.length % 2 === 0
      initialize(link, offers)
      clients.push({ name, link, offers, left: false })
      expectOnly({})
    },
    call(a: number, b: number) {
      const client = pick(joined(), a)
      if (!client) return
      const id = pick(IDS, b) ?? 1
      const name = `call ${++serial}`
      // A client must not use one token twice at a time; on a pipe of its own that is its own affair.
      const token = shared ? pick(TOKENS, a + b) : b % 2 === 0 ? serial : undefined
      const end = (as: 'answer' | 'failed' | 'withdrawn'): void => {
        ends.set(name, (ends.get(name) ?? 0) + 1)
        expect({ name, as, ends: ends.get(name) }).toEqual({ name, as, ends: 1 })
      }
      const params = { name, ...(token === undefined ? {} : { _meta: { progressToken: token, other: 1 } }) }
      client.link.send(
        parsePost(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params })), 20),
        {},
        {
          message: note(name, 'message'),
          answer(answered, text, errorCode) {
            end('answer')
            expect(answered).toBe(id)
            note(name, 'answer')(text)
            expect(errorCode).toBe(errorCodeIn(told.at(-1)?.says))
          },
          failed(error) {
            end('failed')
            told.push({ to: name, as: 'failed', says: error.code })
          },
          withdrawn() {
            end('withdrawn')
            told.push({ to: name, as: 'withdrawn', says: undefined })
          },
        },
      )
      if (open.some((call) => call.client === client && call.id === id)) return expectOnly({ toClients: [{ to: name, as: 'failed', says: 'invalid_request' }] })
      const [sent] = server.taken()
      const inner = sent?.['id'] as JsonRpcId // looked at below
      const innerToken = token === undefined ? undefined : shared ? inner : token
      const seen = { name, ...(token === undefined ? {} : { _meta: { progressToken: innerToken, other: 1 } }) }
      expect(sent).toEqual({ jsonrpc: '2.0', id: shared ? inner : id, method: 'tools/call', params: seen })
      expect(shared && inners.has(inner)).toBe(false)
      inners.add(inner)
      expectOnly({})
      open.push({ name, client, id, token, inner, innerToken, cancelled: false })
    },
    answer(a: number, b: number) {
      const call = pick(open, a)
      if (!call) return
      const body = b % 5 === 0 ? { error: { code: -32000 - (b % 7), message: call.name } } : { result: { content: call.name } }
      server.says(written(call.inner, body, b))
      finish(call)
      expectOnly({ toClients: [{ to: call.name, as: 'answer', says: { jsonrpc: '2.0', id: call.id, ...saidBy(body, b) } }] })
    },
    answerAgain(a: number, b: number) {
      const call = pick(over, a)
      if (!call || open.some(({ inner }) => inner === call.inner)) return
      server.says(written(call.inner, { result: { content: call.name } }, b))
      expectOnly({})
    },
    answerNobody(a: number, b: number) {
      const id = pick<unknown>(['1', 'a', 999_999, null, undefined, 1.5, true, `${String(pick(open, a)?.inner)} `], b)
      if (open.some(({ inner }) => inner === id)) return
      server.says({ jsonrpc: '2.0', id, result: { content: 'nobody' } })
      expectOnly({})
    },
    progress(a: number, b: number) {
      const call = pick(
        [...open, ...over].filter(({ token }) => token !== undefined),
        a,
      )
      if (!call) return
      const says = (progressToken: unknown): object => ({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken, progress: b, message: call.name },
      })
      server.says(says(call.innerToken))
      if (open.includes(call)) return expectOnly({ toClients: [{ to: call.name, as: 'message', says: says(call.token) }] })
      const own = pick(joined(), 0)
      // On a pipe of its own the one client may make of it what it likes.
      expectOnly({ toClients: shared || !own ? [] : [{ to: own.name, as: 'unsolicited', says: says(call.token) }] })
    },
    progressOfNobody(_a: number, b: number) {
      const token = pick<unknown>(['t', '1', 999_999, null, {}], b)
      const says = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: token, progress: 1 } }
      if (!shared || isHaunted) return
      server.says(says)
      const only = token === null || typeof token === 'object' ? onlyBusy() : undefined
      expectOnly({ toClients: only ? [toClient(only, says)] : [] })
    },
    ask(a: number, b: number) {
      if (isHaunted) return
      const id = pick(IDS, a) ?? 1
      const method = pick(QUESTIONS, b) ?? ''
      const says = { jsonrpc: '2.0', id, method, params: { about: ++serial } }
      server.says(says)
      if (shared && method === 'ping') return expectOnly({ toServer: [{ jsonrpc: '2.0', id, result: {} }] })
      const client = shared ? onlyBusy() : pick(joined(), 0)
      if (client && (!shared || client.offers || method === 'x/custom')) {
        asked.set(id, client)
        return expectOnly({ toClients: [toClient(client, says)] })
      }
      expectOnly({ toServer: shared ? [{ jsonrpc: '2.0', id, error: { code: -32601, message: WORDS } }] : [] })
    },
    clientAnswers(a: number, b: number) {
      const client = pick(joined(), a)
      if (!client) return
      // Half of the time the one who was asked, half of the time whoever.
      const id = (b % 2 === 0 ? [...asked].find(([, whom]) => whom === client)?.[0] : undefined) ?? pick(IDS, b) ?? 1
      const body = { jsonrpc: '2.0', id, result: { by: client.name } }
      client.link.send(parsePost(Buffer.from(JSON.stringify(body)), 20), {}, { message: unwanted, answer: unwanted, failed: unwanted, withdrawn: unwanted })
      const wasAsked = asked.get(id) === client
      if (wasAsked) asked.delete(id)
      expectOnly({ toServer: wasAsked ? [body] : [] })
    },
    serverCancels(_a: number, b: number) {
      const id = pick(IDS, b) ?? 1
      const says = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }
      server.says(says)
      const client = asked.get(id)
      asked.delete(id)
      expectOnly({ toClients: client ? [toClient(client, says)] : [] })
    },
    cancel(a: number, b: number) {
      const client = pick(joined(), a)
      if (!client) return
      const id = pick(IDS, b) ?? 1
      const says = (requestId: unknown): object => ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, reason: client.name } })
      client.link.send(parsePost(Buffer.from(JSON.stringify(says(id))), 20), {}, { message: unwanted, answer: unwanted, failed: unwanted, withdrawn: unwanted })
      const call = open.find((one) => one.client === client && one.id === id)
      if (call) call.cancelled = true
      expectOnly({ toServer: call ? [says(call.inner)] : [] })
    },
    patience() {
      vi.advanceTimersByTime(6000)
      const withdrawn = open.filter(({ cancelled }) => cancelled)
      for (const call of withdrawn) finish(call)
      expectOnly({ toClients: withdrawn.map(({ name }) => ({ to: name, as: 'withdrawn', says: undefined })) })
    },
    note(_a: number, b: number) {
      if (isHaunted) return
      const says = { jsonrpc: '2.0', method: 'notifications/custom', params: { b } }
      server.says(says)
      const client = shared ? onlyBusy() : pick(joined(), 0)
      expectOnly({ toClients: client ? [toClient(client, says)] : [] })
    },
    changed() {
      const says = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' }
      server.says(says)
      expectOnly({ toClients: joined().map(({ name }) => ({ to: name, as: 'unsolicited', says })) })
    },
    leave(a: number, b: number) {
      const client = pick(joined(), a)
      if (!client || b % 3 > 0) return
      const calls = open.filter((call) => call.client === client)
      void client.link.close()
      client.left = true
      for (const call of calls) finish(call)
      isHaunted ||= shared && calls.length > 0
      const cancelled = calls.map(({ inner }) => ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: inner, reason: WORDS } }))
      const unanswered = [...asked].filter(([, whom]) => whom === client).map(([id]) => ({ jsonrpc: '2.0', id, error: { code: ANY_NUMBER, message: WORDS } }))
      for (const { id } of unanswered) asked.delete(id)
      expectOnly({ toServer: [...cancelled, ...unanswered] })
      expect(server.closed).toBe(!shared)
      expect(mux.clients).toBe(joined().length)
    },
  }
  return {
    events,
    /** The server answers what is left, or goes: then every call of a client that stayed has ended once. */
    end(answers: boolean) {
      const calls = [...open]
      if (answers) for (let at = 0; open.length > 0; at++) events.answer(at, at)
      else {
        server.ends(new OpenMcpError('child_failed', 'gone'))
        const failed = calls.map(({ name }): Told => ({ to: name, as: 'failed', says: 'child_failed' }))
        const ended = joined().map(({ name }): Told => ({ to: name, as: 'ended', says: 'child_failed' }))
        expectOnly({ toClients: [...failed, ...ended] })
      }
      const stayed = [...calls, ...over].filter(({ client }) => !client.left)
      expect(stayed.filter(({ name }) => ends.get(name) !== 1)).toEqual([])
      void mux.close()
      return over.length
    },
  }
}

type Event = keyof ReturnType<typeof createWorld>['events']
const KINDS: Event[] = ['join', 'call', 'call', 'call', 'call', 'answer', 'answer', 'answerAgain', 'answerNobody', 'progress', 'progress', 'progressOfNobody']
KINDS.push('ask', 'ask', 'clientAnswers', 'clientAnswers', 'serverCancels', 'cancel', 'patience', 'note', 'changed', 'leave')
const steps = array(tuple(constantFrom(...KINDS), nat(999), nat(999)), { maxLength: 60, size: 'max' })

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test.each([
  ['clients with equal ids on a shared pipe never meet', true],
  ['a client with a pipe of its own keeps its ids and gets what is its', false],
])('%s', (_sentence, shared) => {
  let calls = 0
  const holds = property(steps, nat(1), (script, end) => {
    const world = createWorld(shared)
    world.events.join()
    if (shared) world.events.join()
    for (const [kind, a, b] of script) world.events[kind](a, b)
    calls += world.end(end === 0)
  })
  expect(() => assert(holds, { numRuns: 400 })).not.toThrow()
  expect(calls).toBeGreaterThan(500)
})

/** An answer as different servers write it; the large ones are read at their edge alone. */
function written(id: unknown, body: object, style: number): string {
  const filled = saidBy(body, style)
  const first = { jsonrpc: '2.0', id, ...filled }
  const last = { ...filled, jsonrpc: '2.0', id }
  switch (style % 6) {
    case 0:
      return JSON.stringify(first)
    case 1:
      return JSON.stringify(last)
    case 2:
      return style % 4 === 0 ? JSON.stringify(first, null, 1).replaceAll('\n', '\r') : JSON.stringify(first).replace('":{', '":{\r')
    case 3:
      return JSON.stringify(style % 4 === 0 ? first : last)
    case 4:
      return ` ${JSON.stringify(last)} `
    default:
      return JSON.stringify(style % 4 === 1 ? first : last).replace(/\}$/, '\r}')
  }
}

/** Two of the styles are large. A large error is told without its code, which has a test of its own. */
function saidBy(body: object, style: number): object {
  const isLarge = 'result' in body && isObject(body.result) && (style % 6 === 3 || style % 6 === 5)
  return isLarge ? { result: { ...(body.result as JsonObject), BIG } } : body // seen to be an object
}

function errorCodeIn(answer: unknown): unknown {
  const error = isObject(answer) ? answer['error'] : undefined
  return isObject(error) ? error['code'] : undefined
}

function unwanted(): void {
  throw new Error('nobody asked for this')
}
