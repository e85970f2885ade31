// Schemas of all kinds, sane ones and such as mean us ill, for the checker of arguments and for documents: nothing throws, takes long or
// grows, and of a document every id is one operation's and every reference leads somewhere. `npm run build && node test/slow/openapi-fuzz.mjs --seconds 60 --seed 1`
import { performance } from 'node:perf_hooks'

import { createCheck } from '../../dist/openapi/check.js'
import { documentOf } from '../../dist/openapi/document.js'
import { schemaAt } from '../../dist/openapi/schema.js'
import { nameIn } from '../../dist/openapi/segment.js'
import { createRandom, option } from './lib/random.mjs'

const SECONDS = option('seconds', 15)
const SEED = option('seed', Date.now() % 1e9)
const SLOW_MS = 3000
const MOST_TOLD_CHARS = 500_000
const MOST_GROWTH_MB = 200

const random = createRandom(SEED)
const say = (words) => process.stdout.write(`${words}\n`)
say(`seed ${SEED}`)

const mistakes = []
function wrong(words, what) {
  mistakes.push(words)
  if (mistakes.length <= 10) say(`WRONG ${words}: ${JSON.stringify(what).slice(0, 2000)}`)
}

// ---- what is made

const many = (most, one) => Array.from({ length: random.below(most + 1) }, one)
/** As JSON has members: `__proto__` is one like others. */
const members = (entries) => Object.fromEntries(entries)
const NAMES = [
  'a',
  'b',
  'a/b',
  'a~b',
  '',
  '__proto__',
  'constructor',
  'toString',
  'größe',
  '\ud800',
  '%41',
  '#',
  '?',
  '{a}',
  'x'.repeat(300),
  '$ref',
  'properties',
]
const PATTERNS = [
  '^a+$',
  '(a+)+$',
  '(?:a|b|ab){200}[xy]',
  '(?=a)b',
  '\\1(a)',
  '(',
  '[a-z]{1000}',
  '\\p{L}',
  '^.*$',
  '((a{30}){30}){30}',
  '(a|b)*'.repeat(300),
  '',
]
const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null', 'x', 1, { toString: 1 }]
const REFS = [
  '#',
  '#/',
  '#/$defs/a',
  '#/$defs/b',
  '#/$defs/~0~1',
  '#/properties/a',
  '#a',
  '#b',
  'b',
  'https://a.example/x',
  'https://a.example/x#a',
  '#/%',
  '#/\ud800',
  '#/constructor',
  '',
  1,
]
const NUMBERS = [0, 1, -1, 2, 0.1, 1e308, -1e308, 5e-324, 9007199254740991, 'x', null]

const name = () => random.pick(NAMES)
const number = () => random.pick(NUMBERS)

function value(levels = 4) {
  const kind = random.below(levels > 0 ? 9 : 6)
  if (kind < 2)
    return random.pick([
      '',
      'a',
      'ab',
      'aaaaaaaaaaaaaaaaaaaaaaaab',
      '😀'.repeat(random.below(50)),
      'ab'.repeat(random.below(random.chance(0.02) ? 50_000 : 100)),
    ])
  if (kind < 4) return random.pick([0, 1, -1, 0.3, 2.5, 1e21, 1e-7])
  if (kind < 6) return random.pick([null, true, false])
  if (kind === 6) return Array.from({ length: random.below(random.chance(0.02) ? 3000 : 5) }, () => value(levels - 2))
  return members(many(5, () => [name(), value(levels - 1)]))
}

function schema(levels = 4) {
  if (levels <= 0 || random.chance(0.1)) return random.pick([true, false, {}, null, 'x', 1, [], { $ref: random.pick(REFS) }])
  return members(many(5, () => member(levels - 1)))
}

const one = (levels) => () => schema(levels)
const map = (levels) => members(many(4, () => [name(), schema(levels)]))
const KEYWORDS = {
  type: () => (random.chance(0.7) ? random.pick(TYPES) : many(random.chance(0.05) ? 3000 : 3, () => random.pick(TYPES))),
  enum: () => many(random.chance(0.05) ? 3000 : 4, () => value(2)),
  const: () => value(2),
  pattern: () => random.pick(PATTERNS),
  required: () => many(4, name),
  dependentRequired: () => members(many(3, () => [name(), many(3, name)])),
  dependencies: (levels) => members(many(3, () => [name(), random.chance(0.5) ? many(3, name) : schema(levels)])),
  patternProperties: (levels) => members(many(3, () => [random.pick(PATTERNS), schema(levels)])),
  uniqueItems: () => random.chance(0.8),
  $id: () => random.pick(['https://a.example/x', 'b', '#a', 'c/', `https://a.example/${'x'.repeat(2000)}`, 1]),
  $schema: () =>
    random.pick(['https://json-schema.org/draft/2020-12/schema', 'http://json-schema.org/draft-07/schema#', 'http://json-schema.org/draft-04/schema#', {}]),
  ...byEach(['$anchor', '$dynamicAnchor'], () => random.pick(['a', 'b', '', 1])),
  ...byEach(['$ref', '$dynamicRef', '$recursiveRef'], () => random.pick(REFS)),
  ...byEach(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minLength', 'maxLength', 'minItems', 'maxItems'], number),
  ...byEach(['minProperties', 'maxProperties', 'minContains', 'maxContains'], number),
  ...byEach(['items', 'contains', 'not', 'if', 'then', 'else', 'additionalProperties', 'propertyNames', 'unevaluatedItems', 'unevaluatedProperties'], schema),
  ...byEach(['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items'], (levels) => many(3, one(levels))),
  ...byEach(['properties', '$defs', 'definitions', 'dependentSchemas'], map),
  ...byEach(['description', 'default', 'examples', 'x', '__proto__'], () => value(2)),
}

function byEach(keywords, make) {
  return Object.fromEntries(keywords.map((keyword) => [keyword, make]))
}

function member(levels) {
  const keyword = random.pick(Object.keys(KEYWORDS))
  return [keyword, random.chance(0.02) ? value(2) : KEYWORDS[keyword](levels)]
}

/** Such as cost a lot for every character of them. */
const COSTLY = [
  () => ({
    $ref: '#/$defs/0',
    $defs: members(
      Array.from({ length: 40 }, (_none, at) => [
        `${at}`,
        { [random.pick(['allOf', 'anyOf', 'oneOf'])]: [{ $ref: `#/$defs/${at + 1}` }, { $ref: `#/$defs/${at + 1}` }] },
      ]),
    ),
  }),
  () => ({ items: { type: Array.from({ length: 5000 }, () => 'string') } }),
  () => ({ allOf: Array.from({ length: 500 }, () => ({ minLength: 1, uniqueItems: true, propertyNames: {} })) }),
  () => ({ $defs: { ['x'.repeat(5000)]: { $anchor: 'a' } }, allOf: Array.from({ length: 500 }, () => ({ $ref: '#a' })) }),
  () => ({ properties: members(Array.from({ length: 2000 }, (_none, at) => [`\ud83d${at % 7}/`.repeat(3) + at, { $ref: `#/properties/x${at}` }])) }),
  () => Array.from({ length: 300 }).reduce((below) => ({ [random.pick(['not', 'items', 'if'])]: below }), schema(2)),
]

function tool() {
  const called = random.chance(0.7) ? name() + random.below(50) : `${name()}_${random.bytes(8).toString('hex')}`
  return {
    name: called,
    inputSchema: random.chance(0.05) ? random.pick(COSTLY)() : schema(5),
    ...(random.chance(0.3) && { outputSchema: schema(4) }),
    ...(random.chance(0.3) && { description: value(1), title: value(1), annotations: value(2), execution: value(2), icons: value(2), _meta: value(3) }),
  }
}

// ---- what is looked at

function timed(what, material, act) {
  const beganMs = performance.now()
  try {
    return act()
  } catch (error) {
    wrong(`${what} threw ${error.stack?.slice(0, 300)}`, material)
  } finally {
    const ms = performance.now() - beganMs
    if (ms > SLOW_MS) wrong(`${what} took ${Math.round(ms)} ms`, material)
  }
}

const outcomes = { fits: 0, mismatches: 0, unchecked: 0 }

function checkOne() {
  const material = random.chance(0.03) ? random.pick(COSTLY)() : schema(5)
  const given = JSON.stringify(material)
  const check = timed('a check', material, () => createCheck(schemaAt('#', material)))
  for (let times = 0; times < 3; times++) {
    const what = value(5)
    const found = timed('a check', [material, what], () => check?.(what))
    if (found === 'unchecked') outcomes.unchecked++
    else if (Array.isArray(found)) {
      outcomes[found.length === 0 ? 'fits' : 'mismatches']++
      if (found.length > 100 || JSON.stringify(found).length > MOST_TOLD_CHARS) wrong('more is told than can be read', [material, what])
      if (found.some(({ path, message }) => typeof path !== 'string' || typeof message !== 'string')) wrong('what is told is no text', [material, what])
    }
  }
  if (JSON.stringify(material) !== given) wrong('what was given is changed', material)
}

function documentOfMany() {
  const tools = [...new Map(many(20, tool).map((listed) => [listed.name, listed])).values()]
  const parts = random.chance(0.5)
    ? [part('one', '', tools)]
    : [part('fs', '/servers/fs', tools), part('fs_x', '/servers/fs_x', [...new Map(many(5, tool).map((listed) => [listed.name, listed])).values()])]
  const form = parts.length === 1 ? random.pick(['tools', 'mcpo']) : 'tools'
  const given = JSON.stringify(parts)
  const text = timed('a document', parts, () => documentOf(parts, { base: '', form, guarded: random.chance(0.5) }))
  if (text === undefined) return
  if (JSON.stringify(parts) !== given) wrong('what was listed is changed', parts)
  if (text.length > 20 * given.length + 100_000) wrong(`a document of ${text.length} characters of ${given.length}`, parts)
  const document = timed('reading a document', parts, () => JSON.parse(text))
  if (!document) return
  const operations = Object.entries(document.paths).flatMap(([path, item]) => Object.values(item).map((operation) => ({ path, operation })))
  if (new Set(operations.map(({ operation }) => operation.operationId)).size !== operations.length) wrong('two operations of one id', parts)
  for (const { path, operation } of operations) {
    const called = nameIn(path.slice(path.lastIndexOf('/') + 1))
    if (called !== operation['x-mcp-tool'].toWellFormed()) wrong(`the path ${path} is not of ${operation['x-mcp-tool']}`, parts)
  }
  for (const ref of refsIn(document)) if (targetOf(document, ref) === undefined) wrong(`a reference to nothing, ${ref}`, parts)
}

function part(server, place, tools) {
  return { server, place, about: random.pick([{}, { serverInfo: value(2), instructions: value(1) }]), tools, prompts: [], resources: [], resourceTemplates: [] }
}

function refsIn(holder, found = []) {
  if (typeof holder !== 'object' || holder === null) return found
  for (const [key, below] of Object.entries(holder)) {
    if (key === '$ref' && typeof below === 'string' && below.startsWith('#/components/')) found.push(below)
    else refsIn(below, found)
  }
  return found
}

function targetOf(document, ref) {
  let at = document
  for (const step of decodeURIComponent(ref).slice(2).split('/')) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = at[key]
  }
  return at
}

const deadline = performance.now() + SECONDS * 1000
const memory = () => process.memoryUsage().heapUsed / 2 ** 20
let settled
let rounds = 0
for (; performance.now() < deadline && mistakes.length < 50; rounds++) {
  checkOne()
  if (rounds % 5 === 0) documentOfMany()
  if (rounds === 500) {
    globalThis.gc?.()
    settled = memory()
  }
}
globalThis.gc?.()
if (globalThis.gc && settled !== undefined && memory() - settled > MOST_GROWTH_MB) wrong(`memory ${settled.toFixed(0)} → ${memory().toFixed(0)} MB`)
const { fits, mismatches, unchecked } = outcomes
say(`${rounds} schemas: ${fits} fit, ${mismatches} did not, ${unchecked} were left unchecked`)
if (fits === 0 || mismatches === 0 || unchecked === 0) wrong('one outcome never came')
say(mistakes.length === 0 ? 'ok' : `${mistakes.length} mistakes`)
process.exit(mistakes.length === 0 ? 0 : 1)
