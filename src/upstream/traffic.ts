// What is under way on one pipe: its clients, their calls, the server's questions to them.
import { NO_REPLY, type LinkEvents, type Reply } from '../protocol/exchange.ts'
import { isId, isObject, type JsonObject, type JsonRpcId, type RequestMessage } from '../protocol/message.ts'
import { META_LOG_LEVEL, metaOf } from '../protocol/revision.ts'
import { TurnoverMap } from '../protocol/turnover-map.ts'

export interface Client {
  readonly events: LinkEvents
  /** Calls in flight by the id the client gave them, oldest first. */
  readonly calls: TurnoverMap<JsonRpcId, Call>
  /** Resources subscribed to: on a shared pipe an update goes to those who asked. */
  subscriptions: Set<string> | undefined
  /** What it said it can do at `initialize`; unknown before that, and to the stateless revision. */
  capabilities: JsonObject | undefined
}

export interface Call {
  readonly client: Client
  readonly id: JsonRpcId
  /** Its id on the pipe: the client's own, or on a shared pipe a number of ours. */
  readonly inner: JsonRpcId
  readonly method: string
  /** The client's progress token. On a shared pipe the server sees `inner` in its place. */
  readonly token: JsonRpcId | undefined
  reply: Reply
  readonly wantsLog: boolean
  /** When it began, or the server last said something that belongs to it. */
  lastSignMs: number
  cancelled: boolean
  /** Nobody waits for it any more, but the server may be at it still. */
  abandoned: boolean
}

/** Progress of a task goes on after the answer that created it: so many tokens are remembered. */
const TASK_TOKENS_KEPT = 1000
/** Questions of the server that wait for an answer; beyond it the oldest is forgotten. */
const QUESTIONS_KEPT = 1000

export interface Traffic {
  readonly clients: ReadonlySet<Client>
  readonly calls: Pick<TurnoverMap<JsonRpcId, Call>, 'get' | 'values'>
  join(events: LinkEvents): Client
  /** False when it had left before. */
  leave(client: Client): boolean
  begin(client: Client, message: RequestMessage, reply: Reply): Call
  /** The client is done with a call; what the server still says of it reaches nobody. */
  abandon(call: Call): void
  /** Forgets a call and returns it. */
  finish(inner: JsonRpcId): Call | undefined
  /** The call in flight whose progress this token, as the server knows it, tells of. */
  callOfToken(token: JsonRpcId): Call | undefined
  /** On a shared pipe: whose task this token tells of, after the call that created it was answered. */
  taskOfToken(token: JsonRpcId): { client: Client; token: JsonRpcId } | undefined
  /** Takes note of a task that the answer of a call created. */
  keepTask(call: Call, result: unknown): void
  ask(id: JsonRpcId, client: Client): void
  askedOf(id: JsonRpcId): Client | undefined
  /** A question was answered or taken back. */
  settle(id: JsonRpcId): void
  /** Questions that wait for this client. */
  questionsTo(client: Client): JsonRpcId[]
  /** The only client with calls in flight, if there is just one and it is still there: what cannot be told apart is given to nobody. */
  onlyCaller(): Client | undefined
  isSubscribed(uri: string): boolean
  nextInner(): number
}

export function createTraffic({ shared, now }: { shared: boolean; now: () => number }): Traffic {
  const clients = new Set<Client>()
  const calls = new TurnoverMap<JsonRpcId, Call>()
  const tokens = new TurnoverMap<JsonRpcId, Call>()
  const tasks = new Map<JsonRpcId, { client: Client; token: JsonRpcId }>()
  const questions = new Map<JsonRpcId, Client>()
  let lastInner = 0
  const tokenOf = (call: Call): JsonRpcId | undefined => (shared && call.token !== undefined ? call.inner : call.token)

  return {
    clients,
    calls,
    join(events) {
      const client: Client = { events, calls: new TurnoverMap(), subscriptions: undefined, capabilities: undefined }
      clients.add(client)
      return client
    },
    leave(client) {
      for (const [token, task] of tasks) if (task.client === client) tasks.delete(token)
      return clients.delete(client)
    },
    begin(client, message, reply) {
      const meta = metaOf(message)
      const token = meta?.['progressToken']
      const call: Call = {
        client,
        id: message.id,
        inner: shared ? ++lastInner : message.id,
        method: message.method,
        token: isId(token) ? token : undefined,
        reply,
        wantsLog: meta?.[META_LOG_LEVEL] !== undefined,
        lastSignMs: now(),
        cancelled: false,
        abandoned: false,
      }
      client.calls.set(call.id, call)
      calls.set(call.inner, call)
      const known = tokenOf(call)
      if (known !== undefined) tokens.set(known, call)
      return call
    },
    abandon(call) {
      call.abandoned = true
      call.lastSignMs = now()
      call.reply = NO_REPLY
      call.client.calls.delete(call.id)
    },
    finish(inner) {
      const call = calls.get(inner)
      if (!call) return undefined
      calls.delete(inner)
      if (call.client.calls.get(call.id) === call) call.client.calls.delete(call.id)
      const token = tokenOf(call)
      if (token !== undefined && tokens.get(token) === call) tokens.delete(token)
      return call
    },
    callOfToken: (token) => tokens.get(token),
    taskOfToken: (token) => tasks.get(token),
    keepTask(call, result) {
      if (!shared || call.token === undefined || !isObject(result) || !isObject(result['task'])) return
      tasks.set(call.inner, { client: call.client, token: call.token })
      dropOldest(tasks, TASK_TOKENS_KEPT)
    },
    ask(id, client) {
      questions.set(id, client)
      dropOldest(questions, QUESTIONS_KEPT)
    },
    askedOf: (id) => questions.get(id),
    settle: (id) => void questions.delete(id),
    questionsTo: (client) => [...questions].filter(([, asked]) => asked === client).map(([id]) => id),
    onlyCaller() {
      let only: Client | undefined
      for (const { client, method } of calls.values()) {
        if (method === 'subscriptions/listen') continue
        if (only && only !== client) return undefined
        only = client
      }
      return only && clients.has(only) ? only : undefined
    },
    isSubscribed(uri) {
      for (const client of clients) if (client.subscriptions?.has(uri)) return true
      return false
    },
    nextInner: () => ++lastInner,
  }
}

/** The call of a client that was begun last: where the pipe does not say which one is meant, the likeliest. */
export function newestCallOf(client: Client): Call | undefined {
  let newest: Call | undefined
  for (const call of client.calls.values()) if (call.method !== 'subscriptions/listen') newest = call
  return newest
}

function dropOldest(map: Map<JsonRpcId, unknown>, kept: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= kept) return
    map.delete(oldest)
  }
}
