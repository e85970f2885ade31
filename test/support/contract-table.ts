// Behind the tests: which feature of which system works, as the tests of the compatibility contract have found it.
import type { Reporter, TestModule } from 'vitest/node'

import type { Line, System } from './contract.ts'

export interface Found extends Line {
  readonly state: 'passed' | 'failed' | 'skipped' | 'pending'
}

const ORDER: readonly System[] = ['openmcp (Rust)', 'rmcp-proxy', 'mcp-proxy', 'mcp-connect', 'mcpo', 'supergateway', 'mcp-remote', 'files']
const LEGEND =
  'n/m: so many of its spellings work; ≠: refused or otherwise on purpose, and shown; next: comes with the OpenAPI door, and is refused until then; skipped: not run'

export default class ContractTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const found = modules
      .flatMap((module) => [...module.children.allTests()])
      .flatMap((test): Found[] => {
        const { contract } = test.meta()
        return contract === undefined ? [] : [{ ...contract, state: test.result().state }]
      })
    if (found.some(({ state }) => state === 'passed' || state === 'failed')) process.stdout.write(`\n${tableOf(found)}\n`)
  }
}

/** A line for each feature, a column for each system that has one of them. */
export function tableOf(found: readonly Found[]): string {
  const systems = ORDER.filter((system) => found.some((line) => line.system === system))
  const features = [...new Set(found.map(({ feature }) => feature))].toSorted((one, other) => one.localeCompare(other))
  const rows = features.map((feature) => [
    feature,
    ...systems.map((system) => cellOf(found.filter((line) => line.feature === feature && line.system === system))),
  ])
  const total = ['passes', ...systems.map((system) => countOf(found.filter((line) => line.system === system)))]
  const head = ['feature', ...systems]
  const widths = head.map((_, column) => Math.max(...[head, ...rows, total].map((row) => row[column]?.length ?? 0)))
  const written = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(' │ ')
      .trimEnd()
  const rule = widths.map((width) => '─'.repeat(width)).join('─┼─')
  return ['Compatibility: feature × source system × passes', LEGEND, written(head), rule, ...rows.map(written), rule, written(total)].join('\n')
}

function cellOf(lines: readonly Found[]): string {
  if (lines.some(({ state }) => state === 'failed')) return `FAILS ${countOf(lines)}`
  const passed = lines.filter(({ state }) => state === 'passed')
  const works = lines.filter(({ standing }) => standing === 'works')
  return [
    ...(works.length > 0 ? [countOf(works)] : []),
    ...(passed.some(({ standing }) => standing === 'differs') ? ['≠'] : []),
    ...(passed.some(({ standing }) => standing === 'next') ? ['next: OpenAPI door'] : []),
    ...(passed.length < lines.length ? ['skipped'] : []),
  ].join(' ')
}

function countOf(lines: readonly Found[]): string {
  return `${lines.filter(({ state }) => state === 'passed').length}/${lines.length}`
}
