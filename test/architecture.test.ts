// Who may import whom. To add an arrow, change the table in the same commit and say why.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dirname, join, normalize } from 'node:path/posix'
import { describe, expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))
/** A checker that found nothing would say that all is well. */
const LEAST_MODULES = 30

/** The rooms, and beside itself what each may import. downstream, relay and upstream do not know each other. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  observe: ['errors'],
  protocol: ['errors'],
  store: ['errors'],
  identity: ['errors', 'observe'],
  policy: ['errors', 'observe', 'protocol', 'store'],
  tokens: ['errors', 'observe', 'protocol', 'store', 'identity'],
  // A node may be asked for a token by TSP alone: then the client is at home there too.
  login: ['errors', 'observe', 'protocol', 'identity', 'tsp'],
  tsp: ['errors', 'observe', 'protocol', 'store', 'identity'],
  relay: ['errors', 'observe', 'protocol', 'policy'],
  upstream: ['errors', 'observe', 'protocol'],
  downstream: ['errors', 'observe', 'protocol'],
  // One more way in: bodies, event streams and refusals are those of the others.
  openapi: ['errors', 'observe', 'protocol', 'downstream'],
  oauth: ['errors', 'observe', 'protocol', 'store', 'identity', 'policy', 'tokens'],
  'api-keys': ['errors', 'observe', 'protocol', 'store', 'identity', 'policy', 'tokens', 'oauth'],
  // Runs in a browser.
  'docs-page': [],
  'key-page': [],
  http: ['errors', 'observe', 'protocol', 'downstream', 'tokens'],
  security: ['errors', 'observe', 'protocol', 'store', 'identity', 'policy', 'tokens', 'relay', 'oauth', 'api-keys', 'http', 'tsp'],
  // A server may be named by a VID where nobody is asked who they are: it joins TSP to the ways in and out, too.
  openmcp: ['errors', 'observe', 'protocol', 'identity', 'oauth', 'security', 'login', 'tsp', 'relay', 'upstream', 'downstream', 'openapi', 'http'],
  index: ['errors', 'observe', 'protocol', 'openmcp'],
  // Texts in, checked values out: what they do is decided where they are used. A rule of trust is one with a policy and an identity.
  config: ['errors', 'protocol', 'identity', 'policy'],
  cli: ['errors', 'observe', 'protocol', 'config', 'store', 'identity', 'policy', 'tokens', 'api-keys', 'login', 'tsp', 'upstream', 'openmcp'],
}

/** Packages, and what of Node is dangerous: the rooms or files that may import each. Other packages may be imported by none. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  express: ['http', 'oauth', 'api-keys', 'security'],
  helmet: ['http'],
  undici: ['upstream', 'identity/guarded-fetch.ts'],
  oauth4webapi: ['login'],
  jose: ['tokens', 'oauth', 'login', 'identity'],
  'did-resolver': ['identity'],
  'key-did-resolver': ['identity/methods/key.ts'],
  'didwebvh-ts': ['identity/methods/webvh.ts'],
  '@noble/ciphers': ['tsp/sealed-box.ts'],
  '@noble/curves': ['identity'],
  '@noble/hashes': ['identity/vid.ts', 'identity/wallet.ts', 'tsp/digest.ts', 'tsp/sealed-box.ts'],
  libsql: ['store'],
  // Loaded by the first login alone.
  'oidc-provider': ['oauth/browser/adapter.ts', 'oauth/browser/flow.ts', 'oauth/browser/provider.ts'],
  // Patterns of strangers, in linear time.
  re2js: ['openapi/linear-pattern.ts'],
  'jsonc-parser': ['config/source.ts', 'config/edit.ts'],
  '@modelcontextprotocol/sdk': ['cli'],
  'cross-spawn': ['upstream/child.ts'],
  // Servers, and the browser in which a person logs in.
  'node:child_process': ['upstream/child.ts', 'cli/open-browser.ts'],
  // With require() the checker could be passed by.
  'node:module': [],
}

/** Where the program and the library begin: everything else is reached from here. */
const ENTRIES = ['index.ts', 'cli/bin.ts', 'docs-page/page.ts', 'key-page/page.ts']

/** File name, from src on, to its text. */
type Sources = ReadonlyMap<string, string>

describe('the house', () => {
  const sources = sourcesIn(SRC)

  test('has modules to be looked at', () => {
    expect(sources.size).toBeGreaterThanOrEqual(LEAST_MODULES)
    const arrows = [...sources].flatMap(([, text]) => specifiersIn(text))
    expect(arrows.length).toBeGreaterThan(sources.size)
  })

  test('has rooms that import only what the table says', () => {
    expect(wrongArrows(sources)).toEqual([])
  })

  test('has packages where the table says, and no others', () => {
    expect(wrongPackages(sources)).toEqual([])
  })

  test('has no circle of files', () => {
    expect(circlesIn(sources)).toEqual([])
  })

  test('has no file that nothing reaches, and imports none that is not there', () => {
    expect([...unreachedIn(sources), ...missingIn(sources)]).toEqual([])
  })
})

describe('the checker', () => {
  const good: Sources = new Map([
    ['index.ts', "export { openmcp } from './openmcp.ts'"],
    ['cli/bin.ts', "import { openmcp } from '../openmcp.ts'\nawait import('@modelcontextprotocol/sdk/client/index.js')"],
    ['openmcp.ts', "import { serve } from './http/serve.ts'\nimport type { A } from './relay/a.ts'\nconst { b } = await import('./upstream/b.ts')"],
    ['http/serve.ts', "import express, {\n  type Express,\n} from 'express'\nimport { door } from '../downstream/door.ts'"],
    ['downstream/door.ts', "import { createServer } from 'node:http'"],
    ['relay/a.ts', 'export type A = string'],
    ['upstream/b.ts', "import { Pool } from 'undici'\nimport './child.ts'"],
    ['upstream/child.ts', "import spawn from 'cross-spawn'\nimport type { ChildProcess } from 'node:child_process'"],
  ])
  const looksAt = (sources: Sources): string[] => [wrongArrows, wrongPackages, circlesIn, unreachedIn, missingIn].flatMap((look) => look(sources))
  const withFile = (file: string, text: string): Sources => new Map([...good, [file, text]])

  test('finds nothing wrong in a small house that is right', () => {
    expect(looksAt(good)).toEqual([])
  })

  test.each<[string, string, string, string]>([
    ['a way in that knows a way out', 'downstream/door.ts', "import { b } from '../upstream/b.ts'", 'downstream/door.ts → upstream/b.ts'],
    ['a type that is imported across', 'relay/a.ts', "import type { Door } from '../downstream/door.ts'", 'relay/a.ts → downstream/door.ts'],
    ['a dynamic import across', 'upstream/b.ts', "import './child.ts'\nawait import('../relay/a.ts')", 'upstream/b.ts → relay/a.ts'],
    ['a re-export across', 'upstream/b.ts', "import './child.ts'\nexport * from '../relay/a.ts'", 'upstream/b.ts → relay/a.ts'],
    ['an import for its effect', 'relay/a.ts', "import '../openmcp.ts'", 'relay/a.ts → openmcp.ts'],
    ['a room that is not in the table', 'attic/trunk.ts', "import '../relay/a.ts'", 'attic/trunk.ts is in no room'],
    ['express outside of its room', 'downstream/door.ts', "import express from 'express'", 'downstream/door.ts → express'],
    ['undici outside of its room', 'relay/a.ts', "import { Pool } from 'undici'", 'relay/a.ts → undici'],
    [
      'a type of the SDK',
      'downstream/door.ts',
      "import type { X } from '@modelcontextprotocol/sdk/types.js'",
      'downstream/door.ts → @modelcontextprotocol/sdk',
    ],
    ['a process started elsewhere', 'upstream/b.ts', "import './child.ts'\nimport { spawn } from 'node:child_process'", 'upstream/b.ts → node:child_process'],
    ['a process started under its old name', 'relay/a.ts', "import { spawn } from 'child_process'", 'relay/a.ts → child_process'],
    ['a package nobody named', 'relay/a.ts', "import _ from 'lodash'", 'relay/a.ts → lodash'],
    ['a circle', 'upstream/child.ts', "import { b } from './b.ts'", 'upstream/b.ts → upstream/child.ts → upstream/b.ts'],
    ['a file nothing reaches', 'relay/lonely.ts', 'export {}', 'relay/lonely.ts is reached by nothing'],
    ['a file that is not there', 'relay/a.ts', "import './b.ts'", 'relay/a.ts imports relay/b.ts, which is not there'],
    [
      'an import without its ending',
      'openmcp.ts',
      "import './http/serve.ts'\nimport './upstream/b.ts'\nimport './relay/a'",
      'openmcp.ts imports relay/a, which is not there',
    ],
  ])('finds %s', (_what, file, text, found) => {
    expect(looksAt(withFile(file, text))).toContain(found)
  })

  test('reads every way to import, and none in a comment or a text', () => {
    const text = [
      "import a from './1.ts'",
      "import type { b } from './2.ts'",
      "import {\n  c,\n  type d,\n} from './3.ts'",
      "import * as e from './4.ts'",
      "export { f } from './5.ts'",
      "export * from './6.ts'",
      "export type { g } from './7.ts'",
      "import './8.ts'",
      "const h = await import('./9.ts')",
      'const i = import( "./10.ts" )',
      "type J = import('./11.ts').J",
      "// import k from './no.ts'",
      "/* import l from './no.ts'\n import './no.ts' */",
      "const from = 'import m from'; const o = `from './no.ts'`",
    ].join('\n')
    expect(specifiersIn(text)).toEqual(Array.from({ length: 11 }, (_, index) => `./${index + 1}.ts`))
  })
})

// ---- the checker

function sourcesIn(root: string): Sources {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  return new Map(files.map((file) => [file.replaceAll('\\', '/'), readFileSync(join(root, file), 'utf8')]))
}

/** What a module imports, in the order of its text: statically, dynamically, as a type, for its effect. */
function specifiersIn(text: string): string[] {
  const bare = text.replaceAll(/\/\*.*?\*\//gs, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1')
  const imports = /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s*)?\s*(['"])([^'"\n]+)\1|\bimport\(\s*(['"])([^'"\n]+)\3/g
  return [...bare.matchAll(imports)].map(([, , fixed, , dynamic]) => fixed ?? dynamic ?? '')
}

function roomOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file.replace(/\.ts$/, '')
}

/** The file that is meant, from src on; undefined for a package. */
function targetOf(file: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : undefined
}

function targetsOf(sources: Sources, file: string): string[] {
  return specifiersIn(sources.get(file) ?? '').flatMap((specifier) => targetOf(file, specifier) ?? [])
}

function wrongArrows(sources: Sources): string[] {
  return [...sources.keys()].flatMap((file) => {
    const room = roomOf(file)
    const allowed = ROOMS[room]
    if (!allowed) return [`${file} is in no room`]
    return targetsOf(sources, file)
      .filter((target) => roomOf(target) !== room && !allowed.includes(roomOf(target)))
      .map((target) => `${file} → ${target}`)
  })
}

function wrongPackages(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) =>
    specifiersIn(text)
      .filter((specifier) => !specifier.startsWith('.'))
      .map((specifier) => (specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] ?? '')))
      .filter((name) => {
        const allowed = PACKAGES[name]
        return allowed ? !allowed.includes(roomOf(file)) && !allowed.includes(file) : !name.startsWith('node:')
      })
      .map((name) => `${file} → ${name}`),
  )
}

function circlesIn(sources: Sources): string[] {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    if (done.has(file)) return
    for (const target of targetsOf(sources, file)) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of sources.keys()) visit(file, [])
  return circles
}

function unreachedIn(sources: Sources): string[] {
  const reached = new Set(ENTRIES)
  for (const file of reached) for (const target of targetsOf(sources, file)) reached.add(target)
  // A declaration file is taken in by the compiler.
  const modules = [...sources.keys()].filter((file) => !file.endsWith('.d.ts'))
  return modules.filter((file) => !reached.has(file)).map((file) => `${file} is reached by nothing`)
}

function missingIn(sources: Sources): string[] {
  return [...sources.keys()].flatMap((file) =>
    targetsOf(sources, file)
      .filter((target) => !sources.has(target))
      .map((target) => `${file} imports ${target}, which is not there`),
  )
}
