// `openmcp config`: transcripts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import { at, jsonOf } from '../support/json.ts'
import { type, type Transcript } from './terminal.ts'

function typed(text: string, env: Record<string, string> = {}): Promise<Transcript> {
  const cwd = mkdtempSync(join(tmpdir(), 'openmcp-config-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  writeFileSync(join(cwd, 'c.json'), text)
  return type(['config', 'validate', 'c.json'], { cwd, env })
}

test('what is right is told by the names of its servers', async () => {
  const text =
    '{ "mcpServers": { "git": { "command": "uvx", "args": ["${WHAT}"] }, "off": { "command": "x", "disabled": true }, "far": { "url": "https://h/mcp" } } }'
  expect(await typed(text, { WHAT: 'mcp-server-git' })).toEqual({ code: 0, stdout: 'git\nfar\n', stderr: '' })
})

test('what is wrong is told at once, exit code 2', async () => {
  const { code, stdout, stderr } = await typed('{ "mcpServers": { "git": { "comand": "uvx" }, "far": { "url": 1 } }, "nope": {} }')
  expect([code, stdout]).toEqual([2, ''])
  for (const path of ['mcpServers.git.comand', 'mcpServers.far.url', 'nope']) expect(stderr).toContain(`openmcp: error: c.json:1: ${path}: `)
})

test('the schema says what is taken', async () => {
  const { code, stdout } = await type(['config', 'schema'])
  expect(code).toBe(0)
  const entry = jsonOf(at(jsonOf(JSON.parse(stdout)), 'properties', 'mcpServers', 'additionalProperties'))
  expect(entry).toMatchObject({
    additionalProperties: false,
    properties: { command: { type: 'string' }, env: { type: 'object' }, timeout: { type: 'number' } },
  })
})

test.each([[[]], [['validate']], [['schema', 'x']], [['show', 'c.json']]])('%j is asked wrongly', async (words) => {
  expect((await type(['config', ...words])).code).toBe(2)
})
