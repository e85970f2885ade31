// The contract with those who come from mcp-connect: its configuration, and the words about it.
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { at, jsonOf } from '../../support/json.ts'
import { onStdio, typed } from '../../support/openmcp.ts'
import { forThisTest } from '../../support/tidy.ts'
import { openSession } from '../../support/wire.ts'
import { CHILD, calledOn, files, remote, serves } from './stage.ts'

const { works, differs } = contractOf('mcp-connect')

test('mcp-connect init, init --force', works('a configuration of its own'), async () => {
  const { directory, at: file } = files({})
  const env = { cwd: directory }
  expect(await typed(['init'], env)).toMatchObject({ code: 0 })
  expect(existsSync(file('openmcp.json'))).toBe(true)
  expect(await typed(['init'], env)).toMatchObject({ code: 2, stderr: expect.stringContaining('--force') })
  expect(await typed(['init', '--force'], env)).toMatchObject({ code: 0 })
})

test('mcp-connect config add, list, show, validate, test --all, remove', works('a configuration of its own'), async () => {
  const there = await remote()
  const { directory, at: file } = files({})
  const word = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await typed(['config', ...words], { cwd: directory })
    expect({ words, code, stderr: code === 0 ? '' : stderr }).toEqual({ words, code: 0, stderr: '' })
    return stdout
  }
  await typed(['init'], { cwd: directory })
  await word('add', 'far', `${there.origin}/mcp`, '-H', 'Authorization: Bearer a-secret-of-ours')
  await word('add', 'near', '--', ...CHILD)
  expect(await word('list')).toMatch(/^far\b[^]*^near\b/m)
  expect(await word('validate')).toBe('far\nnear')
  const shown = await word('show')
  expect(jsonOf(JSON.parse(shown))['mcpServers']).toMatchObject({ far: { url: `${there.origin}/mcp` } })
  expect(shown).not.toContain('a-secret-of-ours')
  expect((await word('test', '--all')).split('\n').map((line) => line.split('\t').slice(0, 2).join(' '))).toEqual(expect.arrayContaining(['far ok', 'near ok']))
  expect(there.received.map(({ headers }) => headers.authorization)).toContain('Bearer a-secret-of-ours')
  await word('remove', 'far')
  expect(await word('list')).not.toContain('far')
  expect(readFileSync(file('openmcp.json'), 'utf8')).not.toContain('a-secret-of-ours')
})

test('mcp-connect serve: all servers as one on stdio, each with its name before its tools', works('several servers as one'), async () => {
  const there = await remote()
  const [command = '', ...args] = CHILD
  const { directory } = files({ 'openmcp.json': { mcpServers: { far: { url: `${there.origin}/mcp` }, near: { command, args } } } })
  const proxy = await forThisTest(onStdio(['serve'], { cwd: directory }))
  expect(await calledOn(proxy, 'far__echo')).toEqual({ by: 'remote' })
  proxy.send({ jsonrpc: '2.0', id: 'list', method: 'tools/list' })
  expect(at(await proxy.answerTo('list'), 'result', 'tools')).toContainEqual(expect.objectContaining({ name: 'near__echo' }))
})

test('mcp-connect serve, with .mcp-connect.json as it is', differs('several servers as one'), async () => {
  const { directory } = files({ '.mcp-connect.json': { version: '1.0', servers: {} } })
  expect(await typed(['serve'], { cwd: directory })).toMatchObject({ code: 2, stderr: expect.stringContaining('openmcp config import .mcp-connect.json') })
})

test('mcp-connect generate-config --ide zed', works('a configuration for a client'), async () => {
  const { directory } = files({ 'openmcp.json': { mcpServers: { near: { command: 'x' } } } })
  const { code, stdout } = await typed(['generate-config', '--ide', 'zed'], { cwd: directory })
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual({ context_servers: { openmcp: expect.objectContaining({ command: 'openmcp' }) } })
})

test('mcp-connect registry search, show, list', differs('commands out of a registry'), async () => {
  for (const word of ['search', 'show', 'list']) {
    expect(await typed(['registry', word, 'git'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/registry[^]*hint: openmcp config add/) })
  }
})

test('.mcp-connect.json: openmcp config import', works('a configuration of its own'), async () => {
  const there = await remote()
  const { at: file } = files({
    '.mcp-connect.json': {
      version: '1.0',
      routing: { method: 'namespace_prefix', separator: '/' },
      servers: {
        far: {
          remote: { transport_type: 'http', url: `${there.origin}/mcp`, headers: [{ key: 'X-Key', value: '${KEY}' }] },
          timeout: 30,
          retry_attempts: 3,
        },
      },
    },
  })
  const { code, stdout } = await typed(['config', 'import', file('.mcp-connect.json')])
  expect(code).toBe(0)
  const taken = files({ 'openmcp.json': stdout })
  const proxy = await serves(['run', '-p', '0', '--config', taken.at('openmcp.json')], { KEY: 'from-the-environment' })
  expect(await (await openSession(proxy.at('/servers/far/mcp'))).call('echo')).toEqual({ by: 'remote' })
  expect(there.call.headers['x-key']).toBe('from-the-environment')
})
