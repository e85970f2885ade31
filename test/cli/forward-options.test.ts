import { expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { machineWith } from './machine.ts'
import { refusalIn } from './refusal.ts'

const UPSTREAM = 'https://mcp.example.com/mcp'
const typed = (args: readonly string[]) => runOptions(readArguments(args, RUN_OPTIONS), machineWith()).options

test('names are taken in lower case, each once', () => {
  expect(typed(['--forward-header', 'X-Tenant', '--forward-header', 'x-tenant', '--forward-header', 'Accept-Language', UPSTREAM]).forwardHeaders).toEqual([
    'x-tenant',
    'accept-language',
  ])
})

test.each([
  'Authorization',
  'cookie',
  'HOST',
  'Origin',
  'X-API-Key',
  'DPoP',
  'Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'Proxy-Authorization',
  'Content-Length',
  'Mcp-Session-Id',
  'mcp-anything',
])('%s never goes on', (name) => {
  expect(refusalIn(name, () => typed(['--forward-header', name, UPSTREAM])).message).toBe(
    `--forward-header ${name.toLowerCase()}: that header is about us or about this connection, and never goes on`,
  )
})

test.each([
  [['--forward-header', '*', UPSTREAM], 'is not the name of a header'],
  [['--forward-header', 'x: y', UPSTREAM], 'is not the name of a header'],
  [['--forward-header', 'x-a', 'server'], 'is for an upstream'],
  [['--forward-header', 'x-a', 'ws://127.0.0.1:9000'], 'is for requests of HTTP'],
  [['-p', '8000:https://mcp.example.com/mcp', '--stateless', '--forward-header', 'x-a'], 'is of one caller'],
  [['--forward-header', 'x-secret', '-H', 'X-Secret: b', UPSTREAM], 'names x-secret, and a header of ours has that name'],
])('%j is a mistake', (args, message) => {
  expect(refusalIn(args.join(' '), () => typed(args)).message).toContain(message)
})
