// Tools as plain HTTP in README.md and docs/openapi.md: the lines are typed as they stand there, the table of errors is compared with the source.
import { expect, test } from 'vitest'

import { PLAIN_STATUS } from '../../src/openapi/refusal.ts'
import { startProgram } from '../support/program.ts'
import { forThisTest } from '../support/tidy.ts'
import { EXAMPLES, ROOT, blocksOf, commandOf, fromTerminal, section, spansOf, tableOf, textOf } from './documents.ts'

test('the lines in README.md call a tool', async () => {
  const line = EXAMPLES.find(({ document, block }) => document === 'README.md' && block.includes('--openapi'))?.block ?? ''
  const [command = '', ...words] = commandOf(line, '')
  const proxy = await forThisTest(fromTerminal(startProgram(command, words, { cwd: ROOT })))
  const [, origin = ''] = await proxy.says(/listening on (http:\/\/[^/\s]+)/)
  const [call = '', ...more] = blocksOf(textOf('README.md'), 'bash')
  const shell = startProgram('bash', ['--norc', '-euo', 'pipefail', '-c', call.replace('http://127.0.0.1:8000', origin)])
  expect({ ...(await shell.ended), stdout: shell.stdout, more }).toEqual({ code: 0, signal: null, stdout: ['"The sum of 2 and 3 is 5."'], more: [] })
})

test('each error stands beside its status', () => {
  const told = tableOf(section('docs/openapi.md', 'What goes wrong'), 'status').flatMap(([statuses = '', when = '']) =>
    spansOf(when).flatMap((code) => {
      const status = new Map<string, number>(Object.entries(PLAIN_STATUS)).get(code)
      return status === undefined ? [] : [{ code, is: String(status), told: statuses }]
    }),
  )
  expect(told.length).toBeGreaterThan(3)
  expect(told.filter(({ is, told: statuses }) => !statuses.split(', ').includes(is))).toEqual([])
})
