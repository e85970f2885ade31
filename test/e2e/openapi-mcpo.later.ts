// What people who come from mcpo rely on: its routes, shapes and statuses, as it really answers, and as openmcp does in its place.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'

import { at, jsonOf, type Json } from '../support/json.ts'
import { listening } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { findPythonMcpo } from '../support/python.ts'
import { freePort } from '../support/servers.ts'
import { until } from '../support/until.ts'

const SHAPES = fileURLToPath(new URL('../support/shapes-server.mjs', import.meta.url))
const COMMAND = [process.execPath, SHAPES]
const CONFIG = {
  mcpServers: {
    shapes: { command: process.execPath, args: [SHAPES], disabledTools: ['hidden'] },
    other: { command: process.execPath, args: [SHAPES] },
  },
}
const KEY = 'a-key-of-the-operator-of-this-server'

interface Door {
  readonly base: string
  stop(): Promise<unknown>
}

/** How each of them is started with the same words. */
interface Program {
  readonly name: 'mcpo' | 'openmcp'
  readonly missing?: string | undefined
  start(words: readonly string[]): Promise<Door>
}

const python = findPythonMcpo()
const MCPO: Program = {
  name: 'mcpo',
  missing: python.missing,
  async start(words) {
    const base = `http://127.0.0.1:${await freePort()}`
    const program = startProgram(join(dirname(python.interpreter), 'mcpo'), [
      '--host',
      '127.0.0.1',
      '--port',
      new URL(base).port,
      '--log-level',
      'ERROR',
      ...words,
    ])
    try {
      await until('an answer of mcpo', async () => (await fetch(`${base}/docs`).catch(() => undefined)) !== undefined, 30_000)
    } catch (error) {
      await program.stop()
      throw error
    }
    return { base, stop: program.stop }
  },
}
const OPENMCP: Program = {
  name: 'openmcp',
  async start(words) {
    const program = await listening(['--as', 'mcpo', '--port', '0', ...words])
    return { base: program.url.origin, stop: program.stop }
  },
}

/** Started with two servers in a file. */
async function configured(start: Program['start'], ...words: readonly string[]): Promise<Door> {
  const folder = await mkdtemp(join(tmpdir(), 'openmcp-mcpo-'))
  const path = join(folder, 'config.json')
  await writeFile(path, JSON.stringify(CONFIG))
  const { base, stop } = await start([...words, '--config', path])
  const whole = async (): Promise<void> => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { base, stop: whole }
}

describe.each([MCPO, OPENMCP])('$name', ({ name, missing, start }) => {
  const skips = missing !== undefined && process.env['OPENMCP_TEST_REQUIRE_ALL'] !== '1'
  const isOurs = name === 'openmcp'
  const post = (url: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, ...(body !== undefined && { body: JSON.stringify(body) }) })
  const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })

  describe.skipIf(skips)('with one server', () => {
    let door: Door
    beforeAll(async () => {
      door = await start(['--', ...COMMAND])
      return door.stop
    })

    test.each<[tool: string, theirs: unknown, ours?: unknown]>([
      ['plain', 'plain'],
      ['number', 42],
      ['object', { a: [1, null] }],
      ['two', ['a', { b: 1 }]],
      ['nothing', []],
      ['image', 'data:image/png;base64,AAAA'],
      // What mcpo leaves out or has no answer to.
      ['audio', [], 'data:audio/wav;base64,AAAA'],
      ['link', [], { uri: 'file:///a', name: 'a' }],
      ['embedded', 'Embedded resource not supported yet.', { uri: 'file:///a', text: 'x' }],
      ['structured', 'in words', { n: 1 }],
    ])('POST /%s answers with what the tool said', async (tool, theirs, ours = theirs) => {
      const answer = await post(`${door.base}/${tool}`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/)
      expect({ said: await answer.json() }).toMatchObject({ said: isOurs ? ours : theirs })
    })

    test('a tool that takes nothing is called with no body, and with an empty one', async () => {
      expect(await (await post(`${door.base}/plain`)).json()).toBe('plain')
      expect(await (await post(`${door.base}/plain`, {})).json()).toBe('plain')
    })

    test('arguments are the body', async () => {
      expect(await (await post(`${door.base}/echo`, { text: 'hi' })).json()).toBe('hi')
      expect(await (await post(`${door.base}/with_options`, { a: 'z', c: 'q' })).json()).toEqual({ a: 'z', c: 'q' })
    })

    test('what is not given has its default with mcpo, and with openmcp stays not given', async () => {
      expect(await (await post(`${door.base}/with_options`, { c: 'p' })).json()).toEqual(isOurs ? { c: 'p' } : { a: 'x', c: 'p' })
      expect(await (await post(`${door.base}/with_options`, { a: 'z', b: null })).json()).toEqual(isOurs ? { a: 'z', b: null } : { a: 'z' })
    })

    test.each<[string, unknown]>([
      ['of the wrong type', { text: 3 }],
      ['that are missing', {}],
      ['that are no object', [1]],
    ])('arguments %s are 422, with a list of places in `detail`', async (_what, body) => {
      const answer = await post(`${door.base}/echo`, body)
      expect(answer.status).toBe(422)
      expect(at(await answer.json(), 'detail', 0)).toMatchObject({ loc: expect.any(Array), msg: expect.any(String), type: expect.any(String) })
    })

    test('a value that the schema does not name is taken by mcpo, and refused by openmcp', async () => {
      expect((await post(`${door.base}/with_options`, { c: 'neither' })).status).toBe(isOurs ? 422 : 200)
    })

    test('what is no JSON is 422 with mcpo, and 400 with openmcp; what does not say that it is JSON 422 and 415', async () => {
      const headers = { 'content-type': 'application/json' }
      expect((await fetch(`${door.base}/echo`, { method: 'POST', headers, body: '{bad' })).status).toBe(isOurs ? 400 : 422)
      expect((await fetch(`${door.base}/echo`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"text":"a"}' })).status).toBe(
        isOurs ? 415 : 422,
      )
    })

    test('an error of the server is the status of its code, with its words and data in `detail`', async () => {
      const answer = await post(`${door.base}/refusing`)
      expect(answer.status).toBe(422)
      expect(await answer.json()).toMatchObject({ detail: { message: 'bad arguments', data: { at: 1 } } })
    })

    test('a tool that says that it failed is 500, with its words', async () => {
      const answer = await post(`${door.base}/failing`)
      expect(answer.status).toBe(500)
      // mcpo means to tell them as ours does, and catches what it has thrown itself.
      const detail = jsonOf(at(await answer.json(), 'detail'))
      expect(detail['message']).toBe(isOurs ? 'it broke' : 'Unexpected error')
      expect(JSON.stringify(detail)).toContain('it broke')
    })

    test('an unknown tool is 404, another method 405 that names POST', async () => {
      const unknown = await post(`${door.base}/nobody`)
      expect(unknown.status).toBe(404)
      expect(jsonOf(await unknown.json())).toHaveProperty('detail')
      const wrong = await fetch(`${door.base}/echo`)
      expect(wrong.status).toBe(405)
      expect(wrong.headers.get('allow')).toContain('POST')
    })

    test('the document is at /openapi.json, in the form that Open WebUI reads', async () => {
      const answer = await fetch(`${door.base}/openapi.json`)
      expect(answer.status).toBe(200)
      const document = jsonOf(await answer.json())
      expect(document).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./), info: { title: 'shapes', version: '7', description: 'Be nice' } })
      const echo = at(document, 'paths', '/echo', 'post')
      // Its name there is that of the function which a model calls.
      expect(at(echo, 'operationId')).toBe('tool_echo_post')
      expect(echo).toMatchObject({ summary: 'Echo', description: 'does echo' })
      const tool = openWebUiTools(document).find(({ name: called }) => called === 'tool_echo_post')
      expect(tool).toMatchObject({ name: 'tool_echo_post', description: 'does echo', properties: { text: { type: 'string' } }, required: ['text'] })
      // A body that is told of and not given is not called at all by older ones.
      expect(at(document, 'paths', '/plain', 'post')).not.toHaveProperty('requestBody')
      expect(at(document, 'paths', '/with_options', 'post', 'summary')).toBe('With Options')
    })

    test('each path of it has operations alone, since Open WebUI takes every member for one', async () => {
      const document: unknown = await (await fetch(`${door.base}/openapi.json`)).json()
      const members = Object.values(jsonOf(at(document, 'paths'))).flatMap((item) => Object.entries(jsonOf(item)))
      for (const [method, operation] of members) {
        expect(['post', 'get']).toContain(method)
        expect(jsonOf(operation)).toHaveProperty('operationId')
      }
    })

    test('Open WebUI calls what it read there, with arguments and without', async () => {
      const document: unknown = await (await fetch(`${door.base}/openapi.json`)).json()
      expect(await openWebUiCall(door.base, document, 'tool_echo_post', { text: 'hi' })).toBe('hi')
      expect(await openWebUiCall(door.base, document, 'tool_plain_post', {})).toBe('plain')
      expect(await openWebUiCall(door.base, document, 'tool_with_options_post', {})).toEqual(isOurs ? {} : { a: 'x' })
    })

    test('the page is at /docs', async () => {
      const answer = await fetch(`${door.base}/docs`, { headers: { accept: 'text/html' } })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^text\/html\b/)
    })
  })

  describe.skipIf(skips)('with a configuration', () => {
    let door: Door
    beforeAll(async () => {
      door = await configured(start)
      await until('its servers', async () => (await fetch(`${door.base}/shapes/openapi.json`)).ok)
      return door.stop
    })

    test('each server has its tools, its document and its page below its name', async () => {
      expect(await (await post(`${door.base}/shapes/echo`, { text: 'hi' })).json()).toBe('hi')
      const document: unknown = await (await fetch(`${door.base}/shapes/openapi.json`)).json()
      expect(Object.keys(jsonOf(at(document, 'paths')))).toContain('/echo')
      // Where it has servers, they say what is before its paths.
      expect(at(document, 'servers', 0, 'url') ?? '/shapes').toMatch(/\/shapes$/)
      expect(await openWebUiCall(`${door.base}/shapes`, document, 'tool_echo_post', { text: 'hi' })).toBe('hi')
      expect((await fetch(`${door.base}/shapes/docs`)).status).toBe(200)
    })

    test('the document at the root names the servers', async () => {
      const document: unknown = await (await fetch(`${door.base}/openapi.json`)).json()
      expect(JSON.stringify(document)).toContain('/shapes/docs')
      expect(JSON.stringify(document)).toContain('/other/docs')
    })

    test('a tool that is disabled is not there', async () => {
      expect((await post(`${door.base}/shapes/hidden`)).status).toBe(404)
      expect(await (await post(`${door.base}/other/hidden`)).json()).toBe('hidden')
      const document: unknown = await (await fetch(`${door.base}/shapes/openapi.json`)).json()
      expect(jsonOf(at(document, 'paths'))).not.toHaveProperty('/hidden')
    })

    test('an unknown server is 404', async () => {
      expect((await fetch(`${door.base}/nobody/openapi.json`)).status).toBe(404)
      expect((await post(`${door.base}/nobody/echo`, { text: 'hi' })).status).toBe(404)
    })
  })

  describe.skipIf(skips)('with --api-key', () => {
    let door: Door
    beforeAll(async () => {
      door = await start(['--api-key', KEY, '--', ...COMMAND])
      return door.stop
    })

    test('a call without it is 401 with a challenge, with another 403 (openmcp: 401), with it 200', async () => {
      const without = await post(`${door.base}/plain`)
      expect(without.status).toBe(401)
      expect(without.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect((await post(`${door.base}/plain`, undefined, bearer('another'))).status).toBe(isOurs ? 401 : 403)
      expect((await post(`${door.base}/plain`, undefined, bearer(KEY))).status).toBe(200)
    })

    test('the document tells everybody of every tool with mcpo, and with openmcp it is for callers alone', async () => {
      expect((await fetch(`${door.base}/openapi.json`)).status).toBe(isOurs ? 401 : 200)
      expect((await fetch(`${door.base}/openapi.json`, { headers: bearer(KEY) })).status).toBe(200)
    })
  })

  describe.skipIf(skips)('with --api-key and --strict-auth', () => {
    let door: Door
    beforeAll(async () => {
      door = await start(['--api-key', KEY, '--strict-auth', '--', ...COMMAND])
      return door.stop
    })

    test('the document is 401 without it, and there with it', async () => {
      expect((await fetch(`${door.base}/openapi.json`)).status).toBe(401)
      expect((await fetch(`${door.base}/openapi.json`, { headers: bearer(KEY) })).status).toBe(200)
    })
  })

  describe.skipIf(skips)('with --path-prefix', () => {
    let door: Door
    beforeAll(async () => {
      door = await configured(start, '--path-prefix', '/pre')
      await until('its servers', async () => (await fetch(`${door.base}/pre/shapes/openapi.json`)).ok)
      return door.stop
    })

    test('servers are below it', async () => {
      expect(await (await post(`${door.base}/pre/shapes/echo`, { text: 'hi' })).json()).toBe('hi')
      expect((await post(`${door.base}/shapes/echo`, { text: 'hi' })).status).toBe(404)
      expect((await fetch(`${door.base}/pre/shapes/docs`)).status).toBe(200)
    })
  })
})

interface OpenWebUiTool {
  name: unknown
  description: unknown
  properties: Json
  required: unknown
}

/** What Open WebUI makes of a document: it follows references into components alone, by their unescaped steps, without an end to circles. */
function openWebUiTools(document: unknown): OpenWebUiTool[] {
  const resolved = (schema: unknown): Json => {
    const reference = at(schema, '$ref')
    if (typeof reference === 'string') return resolved(at(document, 'components', ...reference.replace(/^#\//, '').split('/').slice(1)))
    return jsonOf(schema ?? {})
  }
  const operations = Object.values(jsonOf(at(document, 'paths'))).flatMap((item) => Object.values(jsonOf(item)))
  return operations.map((operation) => {
    const body = resolved(at(operation, 'requestBody', 'content', 'application/json', 'schema'))
    const properties = Object.entries(jsonOf(body['properties'] ?? {})).map(([key, schema]) => [key, resolved(schema)] as const)
    return {
      name: at(operation, 'operationId'),
      description: at(operation, 'description'),
      properties: Object.fromEntries(properties),
      required: body['required'] ?? [],
    }
  })
}

/** As it calls: the URL of the connection and the path as it is written, always with a JSON body, and what is no JSON is no answer. */
async function openWebUiCall(connection: string, document: unknown, operationId: string, given: Json): Promise<unknown> {
  const found = Object.entries(jsonOf(at(document, 'paths'))).find(([, item]) => at(item, 'post', 'operationId') === operationId)
  if (!found) throw new Error(`no operation ${operationId}`)
  const answer = await fetch(`${connection}${found[0]}`, {
    method: 'POST',
    redirect: 'error',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(given),
  })
  if (answer.status >= 400) throw new Error(`HTTP error ${answer.status}: ${await answer.text()}`)
  return answer.json()
}
