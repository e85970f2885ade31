// A client that others generate from our documents: types by openapi-typescript, calls by openapi-fetch. They are a package of their own
// (test/openapi-client), which is installed when a test needs it first.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import type { Json } from './json.ts'

const HOME = fileURLToPath(new URL('../openapi-client', import.meta.url))
const MODULES = join(HOME, 'node_modules')
/** It is quicker than the one that the generator needs. */
const COMPILER = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
const FETCH = join(MODULES, 'openapi-fetch')
const MINUTES_3 = 180_000

/** Installs it when it is not there. Needs the package registry once. */
export function findGenerator(): { missing?: string } {
  if (existsSync(FETCH)) return {}
  const { status } = spawnSync('npm', ['ci', '--prefix', HOME, '--ignore-scripts', '--no-audit', '--no-fund'], { stdio: 'ignore', timeout: MINUTES_3 })
  return status === 0 ? {} : { missing: 'npm ci --prefix test/openapi-client failed' }
}

/**
 * Generates types from the document and compiles `program` with them, strictly. The program may import `paths` from `./api.ts` and
 * `createClient` from `openapi-fetch`. What is wrong, as the generator or the compiler says it; empty: nothing.
 */
export async function problemsOfClient(document: Json, program: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'openmcp-client-'))
  const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text)
  const run = (script: string, ...args: readonly string[]): string[] => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: 'utf8', timeout: MINUTES_3 })
    return status === 0 ? [] : `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '')
  }
  try {
    await write('openapi.json', JSON.stringify(document))
    await write('program.ts', program)
    await write('tsconfig.json', JSON.stringify({ compilerOptions: { ...STRICT, paths: { 'openapi-fetch': [FETCH] } }, files: ['program.ts', 'api.ts'] }))
    const generated = run(join(MODULES, 'openapi-typescript/bin/cli.js'), 'openapi.json', '--output', 'api.ts', '--default-non-nullable=false')
    return generated.length > 0 ? generated : run(COMPILER, '-p', '.')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const STRICT = {
  strict: true,
  noEmit: true,
  module: 'esnext',
  moduleResolution: 'bundler',
  target: 'es2022',
  lib: ['es2022', 'dom', 'dom.iterable'],
  types: [],
  allowImportingTsExtensions: true,
  verbatimModuleSyntax: true,
}

interface Answered {
  readonly data?: unknown
  readonly error?: unknown
  readonly response: Response
}

/** What the client of the independent library answers to a post, as a program that it was generated for would call it. */
export async function clientAt(
  baseUrl: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ post(path: string, body?: Json): Promise<Answered> }> {
  const library: unknown = await import(pathToFileURL(join(FETCH, 'dist/index.mjs')).href)
  // Its types are made for one document each.
  const { default: createClient } = library as { default(options: object): { POST(path: string, options: object): Promise<Answered> } }
  const client = createClient({ baseUrl, headers })
  return { post: (path, body) => client.POST(path, body === undefined ? {} : { body }) }
}
