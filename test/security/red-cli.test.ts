// The command line and the configuration, attacked by their own operator: what is asked for and silently means something else.
import { expect, test } from 'vitest'

import { parseConfig } from '../../src/cli/config-file.ts'
import { ownHome } from '../cli/home.ts'
import { type } from '../cli/terminal.ts'
import { secured } from '../support/secured.ts'

const ANN = 'did:web:ann.example.com'

test.each(['trust', 'security'])('a section %s that says nothing is a mistake, and not the same as none', (section) => {
  expect(parseConfig(JSON.stringify({ [section]: null }), 'file').mistakes.map(({ message }) => message)).toEqual([`file:1: ${section}: must be an object`])
  expect(parseConfig('{}', 'file')).toMatchObject({ identities: [], dpop: undefined })
})

test('whoever is trusted by a wider rule is not said to be trusted no longer', async () => {
  const { env } = ownHome()
  const typed = (...argv: string[]): ReturnType<typeof type> => type(['trust', ...argv], { env })
  await typed('add', ANN, '--tools', 'echo')
  await typed('add', 'did:web:*.example.com')
  expect(await typed('remove', ANN)).toEqual({
    code: 0,
    stdout: '',
    stderr: `openmcp: warning: the rule for ${ANN} is gone, and it is trusted still, by the one that says did:web:*.example.com (scope mcp, all tools)\n`,
  })
  expect((await typed('remove', 'did:web:*.example.com')).stderr).toBe('openmcp: no longer trusted: did:web:*.example.com\n')
})

test('a rule that lets everybody in under another name warns as any does, at the start and when it is added', async () => {
  const { env } = ownHome()
  for (const id of ['did:key:*', 'did:web:*']) {
    const s = await secured({ trusted: [id] })
    expect(s.log.filter((line) => line.includes('warning') && line.includes(id))).toHaveLength(1)
    expect((await type(['trust', 'add', id], { env })).stderr).toContain('nobody is kept out')
  }
  const narrow = await secured({ trusted: ['did:web:*.example.com', 'did:web:example.com:*'] })
  expect(narrow.log.filter((line) => line.includes('warning'))).toEqual([])
})
