// `openmcp notification-demo`: a server on stdio that has something to say, to see what a client makes of it.
import { createLineReader } from '../protocol/lines.ts'
import { jsonIn } from '../protocol/json.ts'
import { isId, isObject, type JsonObject } from '../protocol/message.ts'
import type { Arguments } from './arguments.ts'
import type { Io } from './io.ts'
import { createMistakes } from './mistakes.ts'
import { oneOf } from './target-options.ts'
import { parseCount } from './values.ts'
import { readVersion } from './version.ts'

const DEFAULT_COUNT = 3
const MOST = 10_000
const EVERY_MS = 500
const MAX_LINE_BYTES = 1024 * 1024
/** RFC 5424 §6.2.1, the more urgent ones last. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']
const SAID = ['info', 'warning', 'error', 'debug']
const REVISION = '2025-11-25'

/** Serves until its client leaves. `everyMs` is the time between two notifications. */
export async function notificationDemo(args: Arguments, io: Io, everyMs = EVERY_MS): Promise<number> {
  const mistakes = createMistakes(args.mistakes)
  const count = oneOf({ args, mistakes }, 'count', (text, as) => parseCount(text, as, { from: 1, to: MOST })) ?? DEFAULT_COUNT
  mistakes.throwIfAny()
  const timers = new Set<NodeJS.Timeout>()
  const write = (message: JsonObject): void => void io.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  let least = 0

  /** One thing after the other, at the pace that a person can follow. */
  function say(things: readonly (() => void)[]): void {
    const [next, ...others] = things
    if (!next) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      next()
      say(others)
    }, everyMs)
    timers.add(timer)
  }

  function logLine(level: string, number: number): void {
    if (LEVELS.indexOf(level) < least) return
    write({ method: 'notifications/message', params: { level, logger: 'notification-demo', data: `${level}, number ${number}` } })
  }

  const rounds = (): (() => void)[] => Array.from({ length: count }, (_, index) => SAID.map((level) => () => logLine(level, index + 1))).flat()

  function answered(method: string, id: string | number, params: JsonObject): void {
    if (method === 'initialize') {
      const asked = params['protocolVersion']
      const capabilities = { logging: {}, tools: { listChanged: true } }
      const version = typeof asked === 'string' && /^20\d\d-\d\d-\d\d$/.test(asked) && asked <= REVISION ? asked : REVISION
      return write({ id, result: { protocolVersion: version, capabilities, serverInfo: { name: 'notification-demo', version: readVersion() } } })
    }
    if (method === 'tools/list') return write({ id, result: { tools: [COUNT_TOOL] } })
    if (method === 'tools/call' && params['name'] === COUNT_TOOL.name) return counted(id, params)
    if (method === 'logging/setLevel') {
      const level = LEVELS.indexOf(String(params['level']))
      if (level < 0) return write({ id, error: { code: -32602, message: `level is one of ${LEVELS.join(', ')}` } })
      least = level
      return write({ id, result: {} })
    }
    if (method === 'ping') return write({ id, result: {} })
    write({ id, error: { code: -32601, message: `there is no ${method.slice(0, 128)} here` } })
  }

  function counted(id: string | number, params: JsonObject): void {
    const meta = isObject(params['_meta']) ? params['_meta'] : {}
    const token = meta['progressToken']
    const steps = Array.from({ length: count }, (_, index) => () => {
      if (isId(token)) write({ method: 'notifications/progress', params: { progressToken: token, progress: index + 1, total: count } })
    })
    say([...steps, () => write({ id, result: { content: [{ type: 'text', text: `counted to ${count}` }] } })])
  }

  const lines = createLineReader(MAX_LINE_BYTES, {
    line(bytes) {
      const message = jsonIn(bytes.toString())
      if (!isObject(message) || typeof message['method'] !== 'string') return
      const params = isObject(message['params']) ? message['params'] : {}
      if (isId(message['id'])) answered(message['method'], message['id'], params)
      else if (message['method'] === 'notifications/initialized') say([...rounds(), () => write({ method: 'notifications/tools/list_changed' })])
    },
    tooLong: () => {},
  })
  for await (const chunk of io.stdin) lines.feed(Buffer.from(chunk as string | Buffer)) // what a stream of bytes or text gives
  for (const timer of timers) clearTimeout(timer)
  return 0
}

const COUNT_TOOL = {
  name: 'count',
  description: 'Counts, and tells of its progress where a client asks for it.',
  inputSchema: { type: 'object', properties: {} },
}
