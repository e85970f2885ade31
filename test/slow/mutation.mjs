// How much of the code that decides who comes in could be wrong without a test that notices: one small mistake at a time, in a copy.
//   node test/slow/mutation.mjs [--seconds 540] [--seed 1] [--only tsp/]
// Mistakes are drawn by chance until the time is over; the same seed draws the same ones. Survivors are printed, with the score.
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseAst } from 'rolldown/parseAst'
import { createVitest } from 'vitest/node'
import { createRandom } from './lib/random.mjs'

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '540' }, seed: { type: 'string', default: '1' }, only: { type: 'string' } },
})
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const COPIED = ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts']
/** What makes and reads messages, and knows nothing of a network. */
const CODEC = /^tsp\/(cesr|digest|envelope|hpke|keys|open|payload|refusal|relationship\.|revision|seal)/
const SESSION = /^tsp\/session/
/** For each area its files, and the tests that are asked, in this order: those that answer soon, and for whatever survives them the others. */
const AREAS = [
  {
    files: [...filesIn('tokens'), 'http/guard.ts'],
    stages: [
      ['test/tokens/jwt', 'test/http/guard', 'test/oauth/'],
      ['test/security/matrix', 'test/security/incidents', 'test/security/red-issuer', 'test/security/red-places', 'test/security/blind'],
    ],
  },
  {
    files: [...filesIn('tsp').filter((file) => CODEC.test(file)), ...filesIn('identity/tsp'), 'identity/peer-four.ts'],
    stages: [['test/tsp/vectors', 'test/tsp/refusals', 'test/tsp/rust', 'test/tsp/relationship.test', 'test/identity/tsp'], ['test/tsp/messages']],
  },
  {
    files: [...filesIn('tsp').filter((file) => SESSION.test(file)), 'downstream/tsp.ts', 'upstream/tsp.ts'],
    stages: [['test/tsp/session', 'test/downstream/tsp.test', 'test/upstream/tsp.test'], ['test/tsp/message-mode']],
  },
  {
    files: filesIn('tsp').filter((file) => !CODEC.test(file) && !SESSION.test(file)),
    stages: [
      ['test/tsp/endpoint', 'test/tsp/covered', 'test/tsp/relationship-store'],
      ['test/tsp/', 'test/security/tsp'],
    ],
  },
]
const TEST_MS = 10_000
const OTHER_OPERATOR = {
  '===': '!==',
  '!==': '===',
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '&&': '||',
  '||': '&&',
}

const work = mkdtempSync(join(tmpdir(), 'openmcp-mutation-'))
process.once('exit', () => rmSync(work, { recursive: true, force: true }))
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.once(signal, () => process.exit(code))
}
for (const name of COPIED) cpSync(join(ROOT, name), join(work, name), { recursive: true })
symlinkSync(join(ROOT, 'node_modules'), join(work, 'node_modules'))

const areas = AREAS.map((area) => ({ ...area, files: area.files.filter((file) => options.only === undefined || file.startsWith(options.only)) })).filter(
  ({ files }) => files.length > 0,
)
const files = areas.flatMap((area) => area.files)
const all = shuffled(
  files.flatMap((file) => mistakesIn(file)),
  createRandom(Number(options.seed)),
)
process.chdir(work)
const vitest = await createVitest('test', {
  root: work,
  config: join(work, 'vitest.config.ts'),
  project: ['rooms'],
  watch: false,
  bail: 1,
  testTimeout: TEST_MS,
  reporters: [{}],
})
await vitest.standalone()
const stagesOf = new Map()
for (const area of areas) {
  const stages = await Promise.all(area.stages.map((names) => vitest.globTestSpecifications(names)))
  for (const file of area.files) stagesOf.set(file, stages)
}
await expectGood()

const deadline = performance.now() + Number(options.seconds) * 1000
const tried = []
for (const mistake of all) {
  if (performance.now() > deadline) break
  tried.push({ ...mistake, killed: await isNoticed(mistake) })
}
// A run that fails for another reason notices everything.
await expectGood()
report()
await vitest.close()
process.exit(0)

/** Without any mistake every stage passes. */
async function expectGood() {
  for (const stages of new Set(stagesOf.values())) {
    for (const [index, specifications] of stages.entries()) {
      if (specifications.length > 0 && (await passes(specifications))) continue
      for (const module of modulesOf(specifications)) for (const test of module.children.allTests('failed')) console.log(`  ${test.fullName}`)
      throw new Error(`stage ${index + 1} fails without any mistake: there is nothing to measure`)
    }
  }
}

async function isNoticed({ file, start, end, instead }) {
  const path = join(work, 'src', file)
  const source = readFileSync(path, 'utf8')
  writeFileSync(path, source.slice(0, start) + instead + source.slice(end))
  vitest.invalidateFile(path)
  try {
    for (const specifications of stagesOf.get(file)) if (!(await passes(specifications))) return true
    return false
  } finally {
    writeFileSync(path, source)
    vitest.invalidateFile(path)
  }
}

async function passes(specifications) {
  const { unhandledErrors } = await vitest.runTestSpecifications(specifications, false)
  return unhandledErrors.length === 0 && modulesOf(specifications).every((module) => module.ok())
}

/** What vitest says of all modules has earlier runs of others in it: their mistakes would seem to be noticed for ever. */
function modulesOf(specifications) {
  return vitest.state.getTestModules(specifications.map(({ moduleId }) => moduleId))
}

function report() {
  for (const file of files) {
    const ofFile = tried.filter((mistake) => mistake.file === file)
    if (ofFile.length > 0) console.log(`${file}: ${ofFile.filter(({ killed }) => killed).length} of ${ofFile.length} noticed`)
  }
  for (const { file, line, was, instead } of tried.filter(({ killed }) => !killed))
    console.log(`  survived ${file}:${line}: ${was} → ${instead === '' ? 'nothing' : instead}`)
  const killed = tried.filter((mistake) => mistake.killed).length
  console.log(
    `mutation: ${killed} of ${tried.length} noticed (${((100 * killed) / tried.length).toFixed(0)} %), drawn from ${all.length} with seed ${options.seed}`,
  )
}

function filesIn(room) {
  return readdirSync(join(ROOT, 'src', room), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${room}/${file}`)
}

/** Every small mistake that could be made in a file: `{ file, line, start, end, was, instead }`. */
function mistakesIn(file) {
  const source = readFileSync(join(work, 'src', file), 'utf8')
  const found = []
  const put = ({ start, end }, instead) => {
    const was = source.slice(start, end).replaceAll(/\s+/g, ' ')
    found.push({ file, line: source.slice(0, start).split('\n').length, start, end, was: was.length > 80 ? `${was.slice(0, 79)}…` : was, instead })
  }
  const between = (left, right, operator, other) => {
    const at = source.indexOf(operator, left.end)
    if (at < right.start) put({ start: at, end: at + operator.length }, other)
  }
  walk(parseAst(source, { lang: 'ts' }, file), (node, parent) => {
    const { type, operator, left, right } = node
    if (type === 'BinaryExpression' && operator in OTHER_OPERATOR) between(left, right, operator, OTHER_OPERATOR[operator])
    if (type === 'LogicalExpression' && operator in OTHER_OPERATOR) between(left, right, operator, OTHER_OPERATOR[operator])
    if (type === 'UnaryExpression' && operator === '!') put({ start: node.start, end: node.start + 1 }, '')
    if (type === 'IfStatement' || type === 'ConditionalExpression') {
      put(node.test, 'true')
      put(node.test, 'false')
    }
    if (type === 'ReturnStatement' && node.argument && node.argument.name !== 'undefined') put(node.argument, 'undefined')
    if (type === 'ExpressionStatement' && node.expression.type === 'CallExpression') put(node, ';')
    if (type === 'Literal' && typeof node.value === 'boolean') put(node, String(!node.value))
    if (type === 'Literal' && typeof node.value === 'number') put(node, String(node.value + 1))
    // Words for people may be any.
    if (type === 'Literal' && typeof node.value === 'string' && /^[^\s]+$/.test(node.value) && parent.type !== 'ImportDeclaration') put(node, "''")
  })
  return found
}

/** Types are no code, and a loop with another end may have none. */
function walk(node, visit, parent = {}) {
  if (node.type.startsWith('TS') && node.type !== 'TSAsExpression' && node.type !== 'TSNonNullExpression' && node.type !== 'TSSatisfiesExpression') return
  visit(node, parent)
  for (const [name, value] of Object.entries(node)) {
    if (name === 'typeAnnotation' || name === 'returnType' || name === 'typeArguments' || name === 'typeParameters') continue
    if ((node.type === 'ForStatement' || node.type === 'WhileStatement') && name !== 'body') continue
    for (const child of [value].flat()) if (typeof child?.type === 'string') walk(child, visit, node)
  }
}

function shuffled(list, random) {
  for (let at = list.length - 1; at > 0; at--) {
    const other = random.below(at + 1)
    const kept = list[at]
    list[at] = list[other]
    list[other] = kept
  }
  return list
}
