// The MCP server behind the stdio proxies: newline-delimited JSON-RPC, written by hand.
import { createLineSplitter } from '../lib/line-splitter.mjs'
import { createHandler, parseError } from './tools.mjs'

const { stdin, stdout } = process
const FLUSH_AT = 65_536

const handle = createHandler({ name: 'echo-stdio' })
let unsent = ''
let scheduled = false

const split = createLineSplitter((line) => {
  let message
  try {
    message = JSON.parse(line.toString())
  } catch {
    return send(parseError)
  }
  const answer = handle(message, send)
  if (answer !== null) send(answer)
})

stdin.on('data', (chunk) => {
  split(chunk)
  flush()
})
stdin.on('end', () => {
  flush()
  stdout.end(() => process.exit(0))
})
stdout.on('error', () => process.exit(0))

function send(json) {
  unsent += `${json}\n`
  if (unsent.length > FLUSH_AT) return flush()
  if (scheduled) return
  scheduled = true
  setImmediate(flush)
}

function flush() {
  scheduled = false
  if (unsent === '') return
  const lines = unsent
  unsent = ''
  if (stdout.write(lines)) return
  stdin.pause()
  stdout.once('drain', () => stdin.resume())
}
