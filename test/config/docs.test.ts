// docs/configuration.md says what the source takes: its tables are made of the shapes, and its examples are read.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

import { readConfig } from '../../src/config/config.ts'
import { jsonOf } from '../support/json.ts'
import { configSchema } from '../../src/config/schema.ts'
import { placesIn, withTables } from '../support/member-tables.ts'

const FILE = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url))
if (process.env['OPENMCP_WRITE_DOCS'] === '1') writeFileSync(FILE, withTables(readFileSync(FILE, 'utf8')))
const TEXT = readFileSync(FILE, 'utf8')

test('its tables are what the shapes say (OPENMCP_WRITE_DOCS=1 writes them)', () => {
  expect(TEXT).toBe(withTables(TEXT))
})

test('every section has its table, and every section that is not built yet is named', () => {
  const marked = [...TEXT.matchAll(/<!-- members of (\S+) -->/g)].map(([, path = '']) => path)
  const sections = Object.entries(jsonOf(configSchema()['properties']))
  const notBuilt = sections.filter(([, section]) => 'not' in jsonOf(section)).map(([name]) => name)
  for (const name of notBuilt) expect(TEXT.split('not built yet')[0]?.split('\n\n').at(-1)).toContain(`\`${name}\``)
  // What has a line of its own in another table needs no table.
  const told = new Set([
    'security.keyServer',
    'listen.tls',
    'mcpServers.tools',
    'mcpServers.tls',
    'mcpServers.retry',
    'mcpServers.oauth.client_metadata',
    'mcpServers.client_header_forwarding',
    'trust.issuers.jwks',
    'trust.openWebUi',
  ])
  expect(marked.filter((path) => path !== 'the-file').toSorted()).toEqual(
    placesIn()
      .filter((path) => !told.has(path))
      .toSorted(),
  )
})

describe('its examples', () => {
  const examples = [...TEXT.matchAll(/```jsonc\n([^]*?)```/g)].map(([, example = '']) => example)

  test('are there', () => {
    expect(examples.length).toBeGreaterThanOrEqual(2)
  })

  test.each(examples)('%.60s… is taken', (example) => {
    const { mistakes, warnings } = readConfig(example, { env: { GIT_TOKEN: 'a' }, readText: () => 'b' })
    expect([mistakes, warnings]).toEqual([[], []])
  })
})
