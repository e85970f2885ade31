// A stdio server in plain Node that does odd things when asked. No SDK: it writes exactly what a test wants written.
//   node scripted-server.mjs [--ignore-eof] [--ignore-term] [--grandchild] [--start-words WORDS] [--exit-at-start CODE]
// Tools answer with `structuredContent`. What it hears goes to `seen`; EOF and SIGTERM are told on stderr.
import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    'ignore-eof': { type: 'boolean' },
    'ignore-term': { type: 'boolean' },
    grandchild: { type: 'boolean' },
    'start-words': { type: 'string' },
    'exit-at-start': { type: 'string' },
  },
})
if (flags['start-words']) console.error(flags['start-words'])
if (flags['exit-at-start']) process.exit(Number(flags['exit-at-start']))

// It holds our stdin and stdout too, reads nothing, and ends neither with them nor on SIGTERM.
const FOREVER = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1e9)'
const grandchild = flags.grandchild ? spawn(process.execPath, ['-e', FOREVER], { stdio: 'inherit' }) : undefined

const seen = []
const held = new Map()
const questions = new Map()
let asked = 0

const write = (message) => void process.stdout.write(`${JSON.stringify(message)}\n`)
const notify = (method, params) => write({ jsonrpc: '2.0', method, params })
const answer = (id, value) => write({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value } })

function release({ key, value = {} }) {
  const call = held.get(key)
  held.delete(key)
  if (call) answer(call.id, value)
  return call !== undefined
}

const tools = {
  echo: (args, { id }) => answer(id, args),
  who: (_args, { id }) =>
    answer(id, { pid: process.pid, grandchild: grandchild?.pid ?? null, cwd: process.cwd(), argv: process.argv.slice(2), env: process.env }),
  seen: (_args, { id }) => answer(id, { seen }),
  /** Answered when `release` names its key, as a tool or as a notification. */
  hold: ({ key }, message) => void held.set(key, message),
  release: (args, { id }) => answer(id, { released: release(args) }),
  /** Progress of a held call. */
  report({ key, from, to }, { id }) {
    // oxlint-disable-next-line no-underscore-dangle -- the protocol's own name
    const progressToken = held.get(key)?.params._meta?.progressToken
    for (let progress = from; progress <= to; progress++) notify('notifications/progress', { progressToken, progress })
    answer(id, {})
  },
  /** Progress of its own, one step per turn, so that several calls take turns. */
  async count({ marker, steps }, { id, params }) {
    for (let progress = 1; progress <= steps; progress++) {
      // oxlint-disable-next-line no-underscore-dangle -- the protocol's own name
      notify('notifications/progress', { progressToken: params._meta?.progressToken, progress, message: marker })
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    answer(id, { marker })
  },
  notify({ messages }, { id }) {
    for (const { method, params } of messages) notify(method, params)
    answer(id, {})
  },
  /** Asks the client and tells what it said. */
  ask({ method, params }, { id }) {
    const question = `question-${++asked}`
    questions.set(question, id)
    write({ jsonrpc: '2.0', id: question, method, params })
  },
  /** Writes as it is told, byte by byte; `$ID` stands for the id of this call. Answers nothing by itself. */
  write: ({ base64 }, { id }) =>
    void process.stdout.write(Buffer.from(Buffer.from(base64, 'base64').toString('latin1').replaceAll('$ID', JSON.stringify(id)), 'latin1')),
  big: ({ bytes }, { id }) => answer(id, { filler: 'x'.repeat(bytes) }),
  /** An answer of so many bytes on one line, as fast as it is read. */
  async gush({ bytes }, { id }) {
    const piece = 'x'.repeat(64 * 1024)
    const put = (text) => process.stdout.write(text) || new Promise((resolve) => process.stdout.once('drain', resolve))
    await put(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"filler":"`)
    for (let left = bytes; left > 0; left -= piece.length) await put(piece)
    await put('"}}\n')
  },
  /** Notifications, all in one go, and the answer behind them. */
  flood({ count, bytes }, { id }) {
    for (let number = 1; number <= count; number++) notify('notifications/message', { level: 'info', data: { number, filler: 'x'.repeat(bytes) } })
    answer(id, { count })
    process.stdout.write('', () => console.error('flooded'))
  },
  /** Goes on without its stdin or stdout. Never answers. */
  close({ descriptor, words }) {
    closeSync(descriptor)
    if (words) console.error(words)
  },
  complain({ lines }, { id }) {
    for (const line of lines) console.error(line)
    answer(id, {})
  },
  die({ code, words, last }, { id }) {
    if (words) console.error(words)
    if (last === undefined) process.exit(code)
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: { structuredContent: last } })}\n`, () => process.exit(code))
  },
}

const methods = {
  initialize: ({ id, params }) =>
    write({
      jsonrpc: '2.0',
      id,
      result: {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} },
        serverInfo: { name: 'scripted', version: '1' },
      },
    }),
  ping: ({ id }) => write({ jsonrpc: '2.0', id, result: {} }),
  'tools/list': ({ id }) => write({ jsonrpc: '2.0', id, result: { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) } }),
  'resources/subscribe': ({ id }) => write({ jsonrpc: '2.0', id, result: {} }),
  'resources/unsubscribe': ({ id }) => write({ jsonrpc: '2.0', id, result: {} }),
  'tools/call'(message) {
    const { name, arguments: args } = message.params
    if (Object.hasOwn(tools, name)) void tools[name](args ?? {}, message)
    else refuse(message.id, -32602, `no tool ${name}`)
  },
}

function refuse(id, code, message) {
  write({ jsonrpc: '2.0', id, error: { code, message } })
}

function received(message) {
  seen.push(message)
  if (message.method === undefined) {
    const call = questions.get(message.id)
    questions.delete(message.id)
    if (call !== undefined) answer(call, { result: message.result ?? null, error: message.error ?? null })
  } else if (message.method === 'notifications/release') {
    release(message.params)
  } else if (message.method === 'notifications/write') {
    process.stdout.write(Buffer.from(message.params.base64, 'base64'))
  } else if (message.id !== undefined) {
    if (Object.hasOwn(methods, message.method)) methods[message.method](message)
    else refuse(message.id, -32601, `no method ${message.method}`)
  }
}

let begun = ''
process.stdin.setEncoding('utf8')
process.stdin.on('data', (text) => {
  const lines = (begun + text).split('\n')
  begun = lines.pop()
  for (const line of lines) if (line !== '') received(JSON.parse(line))
})
process.stdin.on('end', () => {
  console.error('saw EOF')
  if (flags['ignore-eof']) setInterval(() => {}, 1e9)
  else process.exit(0)
})
process.on('SIGTERM', () => {
  console.error('saw SIGTERM')
  if (!flags['ignore-term']) process.exit(0)
})
