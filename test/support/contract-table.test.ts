// A table that says more than the tests did would be worse than none.
import { expect, test } from 'vitest'

import { tableOf, type Found } from './contract-table.ts'

const line = (feature: string, state: Found['state'], standing: Found['standing'] = 'works', system: Found['system'] = 'mcpo'): Found => ({
  system,
  feature,
  standing,
  state,
})

function cellsOf(found: readonly Found[]): Record<string, string[]> {
  const rows = tableOf(found)
    .split('\n')
    .map((row) => row.split('│').map((cell) => cell.trim()))
  return Object.fromEntries(rows.map(([feature = '', ...cells]) => [feature, cells]))
}

test('what failed fails its cell, and what did not run is no pass', () => {
  const cells = cellsOf([line('a', 'passed'), line('a', 'failed'), line('b', 'passed'), line('b', 'skipped'), line('c', 'passed')])
  expect(cells).toMatchObject({ a: ['FAILS 1/2'], b: ['1/2 skipped'], c: ['1/1'], passes: ['3/5'] })
})

test('what differs, and what comes next, is counted with nothing that works', () => {
  const cells = cellsOf([line('a', 'passed'), line('a', 'passed', 'differs'), line('b', 'passed', 'next'), line('c', 'skipped', 'differs')])
  expect(cells).toMatchObject({ a: ['1/1 ≠'], b: ['next: OpenAPI door'], c: ['skipped'] })
})

test('a system has a column when one of its lines was told', () => {
  const cells = cellsOf([line('a', 'passed'), line('a', 'passed', 'works', 'mcp-proxy'), line('b', 'passed')])
  expect(cells).toMatchObject({ feature: ['mcp-proxy', 'mcpo'], a: ['1/1', '1/1'], b: ['', '1/1'] })
})
