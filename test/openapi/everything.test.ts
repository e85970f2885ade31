// Every tool, prompt and resource of the reference server, by plain HTTP.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PassThrough } from 'node:stream'

import { createLog } from '../../src/observe/log.ts'
import { openmcp, type OpenMcp } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { EVERYTHING_GOOD } from '../support/everything.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { everything } from '../support/servers.ts'
import { ask, open, type Answer } from '../support/wire.ts'

let proxy: OpenMcp
const under = (path: string): URL => new URL(path, proxy.url)
const call = (name: string, body: Json = {}): Promise<Answer> => ask(under(`/tools/${name}`), { body })

beforeAll(async () => {
  const [command = '', ...args] = (await everything('stdio child')).served.command ?? []
  proxy = await openmcp(
    {
      target: { kind: 'command', command, args, env: { PATH: process.env['PATH'] ?? '' } },
      listen: { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false },
      name: 'everything',
      isolation: 'session',
      limits: { ...DEFAULT_LIMITS, drainSeconds: 0 },
      openapi: { prompts: true, resources: true },
      log: { level: 'error', format: 'text' },
    },
    { stdin: new PassThrough(), stdout: new PassThrough(), now: Date.now, log: createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now }) },
  )
})
afterAll(() => proxy.close())

test('each of its tools can be called by what its document says', async () => {
  const { json } = await ask(under('/openapi.json'))
  const operations = Object.entries(jsonOf(json['paths'])).filter(([path]) => path.startsWith('/tools/'))
  expect(operations.length).toBeGreaterThan(8)
  for (const [path, item] of operations) {
    const name = String(at(item, 'post', 'x-mcp-tool'))
    const good = await ask(under(path), { body: EVERYTHING_GOOD[name] ?? {} })
    const isTask = at(item, 'post', 'x-mcp-execution', 'taskSupport') === 'required'
    expect([name, good.status]).toEqual([name, isTask ? 409 : 200])
  }
})

test('each of its tools says what is missing in a call', async () => {
  const { json } = await ask(under('/openapi.json'))
  const needing = Object.entries(jsonOf(json['paths'])).flatMap(([path, item]) => {
    const required = at(json, 'components', 'schemas', `${String(at(item, 'post', 'operationId'))}.input`, 'required')
    return Array.isArray(required) && required.length > 0 ? [{ path, required: required.map((name) => `/${String(name)}`) }] : []
  })
  expect(needing.length).toBeGreaterThan(3)
  for (const { path, required } of needing) {
    const { status, json: refused } = await ask(under(path), { body: {} })
    const errors = at(refused, 'detail', 'errors')
    expect([path, status, Array.isArray(errors) && errors.map((error) => at(error, 'path'))]).toEqual([path, 422, required])
  }
})

test('what they give has its form', async () => {
  expect(JSON.parse((await call('echo', { message: 'hello' })).text)).toBe('Echo: hello')
  expect((await call('get-structured-content', { location: 'Chicago' })).json).toMatchObject({ temperature: expect.any(Number) })
  const tiny: unknown = JSON.parse((await call('get-tiny-image')).text)
  expect(tiny).toEqual([expect.any(String), expect.stringMatching(/^data:image\/png;base64,/), expect.any(String)])
  const links: unknown = JSON.parse((await call('get-resource-links')).text)
  expect(links).toContainEqual(expect.objectContaining({ type: 'resource_link', uri: expect.any(String) }))
})

test('a long one tells how far it is', async () => {
  const stream = await open(under('/tools/trigger-long-running-operation'), { body: { duration: 0.2, steps: 2 }, headers: { accept: 'text/event-stream' } })
  await stream.whole()
  expect(stream.events.filter(({ event }) => event === 'progress').map(({ data }) => at(JSON.parse(data), 'progress'))).toEqual([1, 2])
  expect(stream.events.at(-1)?.event).toBe('result')
})

test('its prompts and resources are read', async () => {
  const { json } = await ask(under('/openapi.json'))
  const paths = Object.entries(jsonOf(json['paths']))
  const prompts = paths.filter(([path]) => path.startsWith('/prompts/'))
  const resources = paths.filter(([path]) => path.startsWith('/resources/'))
  expect([prompts.length > 0, resources.length > 0]).toEqual([true, true])
  const args = prompts.find(([, item]) => at(item, 'get', 'parameters', 0, 'name') === 'city')
  expect((await ask(under(`${args?.[0]}?city=Rome`))).json).toMatchObject({ messages: [{ content: { text: expect.stringContaining('Rome') } }] })
  expect((await ask(under(resources[0]?.[0] ?? ''))).json).toMatchObject({ contents: [{ uri: at(resources[0]?.[1], 'get', 'x-mcp-resource') }] })
  expect((await ask(under('/resources/file:nothing'))).status).toBe(404)
})
