// An official client, our stdio, a sealed relationship, our door, an official server: tools, progress and what the server asks go through.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { PassThrough } from 'node:stream'
import { afterEach, expect, test } from 'vitest'

import { createStdioDoor } from '../../src/downstream/stdio.ts'
import { createTspDoor, type TspDoor } from '../../src/downstream/tsp.ts'
import { OpenMcpError } from '../../src/errors.ts'
import type { Vid } from '../../src/identity/vid.ts'
import { createLog } from '../../src/observe/log.ts'
import { ownerOf, type Caller } from '../../src/protocol/caller.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { createGate } from '../../src/relay/gate.ts'
import { connect } from '../../src/upstream/connect.ts'
import { createPool } from '../../src/upstream/pool.ts'
import { openSealed } from '../../src/upstream/tsp.ts'
import { until } from '../support/until.ts'
import { network } from './network.ts'

const limits = { ...DEFAULT_LIMITS, drainSeconds: 0.1 }
const log = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

test('a tool is called, its progress is heard, and the server may ask the client', async () => {
  const { client } = await sealed()
  client.setRequestHandler(CreateMessageRequestSchema, async () => ({ role: 'assistant', model: 'none', content: { type: 'text', text: 'four' } }))
  expect(await client.callTool({ name: 'echo', arguments: { a: 1 } })).toMatchObject({ structuredContent: { request: { params: { arguments: { a: 1 } } } } })
  const heard: number[] = []
  await client.callTool({ name: 'progress', arguments: { steps: 3 } }, undefined, { onprogress: ({ progress }) => heard.push(progress) })
  expect(heard).toEqual([1, 2, 3])
  const question = { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: '2+2?' } }], maxTokens: 9 } }
  expect(await client.callTool({ name: 'ask', arguments: question })).toMatchObject({ structuredContent: { answer: { content: { text: 'four' } } } })
})

test('a tool that this VID may not use does not exist for it', async () => {
  const { client } = await sealed({ mayUse: (tool) => tool === 'echo' })
  await expect(client.callTool({ name: 'heard', arguments: {} })).rejects.toThrow(/heard/)
})

test('nothing is heard of a VID that is not trusted any more', async () => {
  let trusted = true
  const { client } = await sealed({ isTrusted: () => trusted })
  await client.callTool({ name: 'echo', arguments: {} })
  trusted = false
  await expect(client.callTool({ name: 'echo', arguments: {} }, undefined, { timeout: 300 })).rejects.toThrow(/timed out/i)
})

interface Rules {
  mayUse?: (tool: string) => boolean
  isTrusted?: () => boolean
}

/** Two nodes with a relationship, and a client of the one that speaks to the server of the other. */
async function sealed({ mayUse = () => true, isTrusted = () => true }: Rules = {}): Promise<{ client: Client }> {
  const add = network()
  const server = connect(
    { kind: 'command', command: process.execPath, args: ['test/support/sdk-server.mjs', 'stdio'], env: { PATH: process.env['PATH'] ?? '' } },
    { isolation: 'session', limits, log, now: Date.now, name: 'fixture' },
  )
  closing.push(() => server.close())
  const gate = createGate({ standingOf: () => ({ scopes: ['mcp'], restricted: true, mayUse }) })
  let door: TspDoor | undefined
  const far = add('far', { trusts: async () => isTrusted(), hear: ({ from, data }) => door?.hear(from, data) })
  door = createTspDoor({ upstream: server.messages, callerOf, gate, send: (vid, text) => far.endpoint.send(known(vid), text), limits, log })
  const own: TspDoor = door
  closing.push(() => own.close())

  let heard: (text: Buffer) => void = () => {}
  const near = add('near', { hear: ({ data }) => heard(data) })
  await near.endpoint.invite(far.long)
  await until('the relationship', () => near.states.includes('formed'))
  const open = openSealed({
    send: (text) => near.endpoint.send(far.vid, text),
    listen(events) {
      heard = events.heard
      return () => (heard = () => {})
    },
  })
  const pool = createPool({ open, isolation: 'shared', limits, log, now: Date.now })
  closing.push(() => pool.close())
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const stdio = createStdioDoor({ upstream: () => pool, stdin, stdout, limits })
  closing.push(() => stdio.close())
  const client = new Client({ name: 'official', version: '1.0.0' }, { capabilities: { sampling: {} } })
  closing.push(() => client.close())
  await client.connect(overLines(stdin, stdout))
  return { client }

  function known(vid: string): Vid {
    if (vid !== near.vid) throw new OpenMcpError('untrusted', 'nobody else is known')
    return near.vid
  }
}

function callerOf(vid: string): Caller {
  const caller = { id: vid, via: 'tsp', scopes: ['mcp'], act: [], tokenId: vid, expiresAt: Infinity } as const
  return { ...caller, owner: ownerOf(caller) }
}

function overLines(stdin: PassThrough, stdout: PassThrough): Transport {
  let rest = ''
  const transport: Transport = {
    async start() {
      stdout.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) transport.onmessage?.(JSON.parse(line))
      })
    },
    async send(message) {
      stdin.write(`${JSON.stringify(message)}\n`)
    },
    async close() {
      stdin.end()
    },
  }
  return transport
}
