// docs/library.md: its examples are compiled and run as those of somebody who has installed the package.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as library from '../../src/index.ts'
import { startProgram } from '../support/program.ts'
import { ROOT, blocksOf, textOf } from './documents.ts'

const EXAMPLES = blocksOf(textOf('docs/library.md'), 'ts')
let project: string

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'openmcp-library-'))
  const installed = (name: string, from: string): void => {
    mkdirSync(dirname(join(project, 'node_modules', name)), { recursive: true })
    symlinkSync(from, join(project, 'node_modules', name), 'junction')
  }
  installed('@decentralized-mcp/openmcp', ROOT)
  installed('@modelcontextprotocol/sdk', join(ROOT, 'node_modules/@modelcontextprotocol/sdk'))
  installed('@types/node', join(ROOT, 'node_modules/@types/node'))
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }))
  for (const [index, example] of EXAMPLES.entries()) writeFileSync(join(project, `example-${index}.ts`), example)
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

async function ran(args: readonly string[], cwd: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const program = startProgram(process.execPath, args, { cwd })
  const { code } = await program.ended
  return { code, stdout: program.stdout.join('\n'), stderr: program.stderr.join('\n') }
}

test('the examples of docs/library.md compile against the built package, and do what they say', async () => {
  expect(EXAMPLES).toHaveLength(3)
  const files = EXAMPLES.map((_, index) => `example-${index}.ts`)
  const compiled = await ran(
    [
      join(ROOT, 'node_modules/typescript/bin/tsc'),
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2023',
      '--module',
      'nodenext',
      '--types',
      'node',
      ...files,
    ],
    project,
  )
  expect(compiled).toEqual({ code: 0, stdout: '', stderr: '' })
  // From where npx finds the server without a network.
  const [proxy, plain, relay] = await Promise.all(EXAMPLES.map((_, index) => ran([join(project, `example-${index}.js`)], ROOT)))
  const hello = "[ { type: 'text', text: 'Echo: hello' } ]"
  expect({ code: proxy?.code, stdout: proxy?.stdout }).toEqual({
    code: 0,
    stdout: `[ 'echo' ]\n${hello}\n{ added: [], changed: [], removed: [ 'safe' ] }`,
  })
  expect({ code: plain?.code, stdout: plain?.stdout }).toEqual({ code: 0, stdout: '200 The sum of 1 and 2 is 3.\ntrue' })
  expect({ code: relay?.code, stdout: relay?.stdout }).toEqual({ code: 0, stdout: `401\n${hello}` })
})

test('docs/library.md names every function that the package exports', () => {
  const text = readFileSync(join(ROOT, 'docs/library.md'), 'utf8')
  expect(Object.keys(library).filter((name) => !text.includes(`\`${name}\``))).toEqual([])
})
