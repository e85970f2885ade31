// Nothing that was typed is lost on the way from one language to the other.
import { assert, array, boolean, constantFrom, property, subarray } from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Dialect, Translation } from '../../../src/cli/dialects/dialect.ts'
import { MCP_CONNECT_WORDS } from '../../../src/cli/dialects/mcp-connect.ts'
import { MCP_PROXY } from '../../../src/cli/dialects/mcp-proxy.ts'
import { MCP_REMOTE } from '../../../src/cli/dialects/mcp-remote.ts'
import { MCPO } from '../../../src/cli/dialects/mcpo.ts'
import { SUPERGATEWAY } from '../../../src/cli/dialects/supergateway.ts'
import { recognise, translateAs, translateWord } from '../../../src/cli/dialects/translate.ts'
import { RUN_OPTIONS } from '../../../src/cli/option-table.ts'
import { machineWith } from '../machine.ts'
import { refusable } from '../refusal.ts'

/** What is so here whether or not somebody says it, and so is taken without a word; and a name with its password, which become one text. */
const ALWAYS_SO =
  /^--(?:username|password|strict-auth|hot-reload|enable-proxy|protocol|disable-cookies|allow-http|stateful|client-credentials|no-stateless|no-debug|no-pass-environment|silent|debug|pass-environment|stateless|logLevel|log-level|transport|type|server-type|outputTransport|output-transport|healthEndpoint|health-endpoint)$/

/** A value that the option understands, and that is like no other. */
function valueOf(option: string, count: number): string[] {
  const name = option.replace(/^-+/, '').toLowerCase().replaceAll('-', '')
  const known: Record<string, string[]> = {
    port: [`${4000 + count}`],
    sseport: [`${4000 + count}`],
    p: [`${4000 + count}`],
    h: [`127.0.0.${count}`],
    host: [`127.0.0.${count}`],
    ssehost: [`127.0.0.${count}`],
    e: [`K${count}`, `v${count}`],
    env: [`K${count}`, `v${count}`],
    headers: [`X-${count}`, `v${count}`],
    namedserver: [`n${count}`, `command${count} arg`],
    header: [`X-${count}: v${count}`],
    useragent: [`agent/${count}`],
    alloworigin: [`https://o${count}.example`],
    corsalloworigins: [`https://o${count}.example`],
    cors: [`https://o${count}.example`],
    stdio: [`command${count} arg`],
    sse: [`https://h${count}.example/sse`],
    streamablehttp: [`https://h${count}.example/mcp`],
    endpoint: [`https://h${count}.example/mcp`],
    endpoints: [`https://h${count}.example/mcp,https://i${count}.example/mcp`],
    fallbacks: [`https://f${count}.example/mcp`],
    outputtransport: ['streamableHttp'],
    ssepath: [`/x${count}/sse`],
    messagepath: [`/m${count}`],
    streamablehttppath: [`/y${count}/mcp`],
    healthendpoint: ['/healthz'],
    sessiontimeout: [`${count}000`],
    transport: ['http'],
    type: ['stdio'],
    servertype: ['stdio'],
    loglevel: ['debug'],
    verifyssl: [`/ca${count}.pem`],
    staticoauthclientinfo: [`{"client_id":"c${count}","client_secret":"s${count}"}`],
    staticoauthclientmetadata: [`{"scope":"s${count}"}`],
    scopes: [`s${count}`],
  }
  return known[name] ?? [`v${count}`]
}

/** Options as they are used, each with values of its own, and no option twice. */
function uses(dialect: Pick<Dialect, 'options'>, tests: RegExp): string[][] {
  return [...dialect.options].map(([option, meaning], index) => {
    const values = valueOf(option, index + 1)
    const count = Math.min(values.length, meaning.takes(values))
    const json = dialect === MCPO && tests.test(option)
    return [option, ...(json ? [`{"X-${index}":"v${index}"}`] : values.slice(0, count))]
  })
}

const SPOKEN: readonly (readonly [name: string, grammar: Pick<Dialect, 'options'>, words: readonly (readonly string[])[]])[] = [
  ['mcp-proxy', MCP_PROXY, [['https://up.example/mcp'], ['--', 'cmd', '--port', '1'], ['cmd', '-e', 'x'], []]],
  ['mcpo', MCPO, [['--', 'cmd', '--port', '1'], ['--', 'https://up.example/mcp'], []]],
  ['supergateway', SUPERGATEWAY, [[]]],
  ['mcp-remote', MCP_REMOTE, [['https://up.example/mcp'], ['https://up.example/mcp', '9696']]],
  // What begins with registry is always refused.
  ...[...MCP_CONNECT_WORDS]
    .filter(([word]) => word !== 'registry')
    .map(([word, grammar]) => [`mcp-connect ${word}`, grammar, [word === 'config' ? ['add', 'name'] : []]] as const),
]

describe.each(SPOKEN)('%s', (name, grammar, endings) => {
  test('nothing that is typed is lost: it is there in our words, or there are words about it', () => {
    const all = uses(grammar, /header|^-H$/)
    let taken = 0
    assert(
      property(subarray(all, { maxLength: Math.min(5, all.length) }), constantFrom(...endings), boolean(), (some, ending, isEarly) => {
        const options = some.flat()
        const typed = isEarly && name === 'mcp-remote' ? [...ending, ...options] : [...options, ...ending]
        const translation = refusable(() => inWords(name, typed))
        if (!translation) return
        taken += 1
        expect({ typed, lost: lostOf(some, ending, translation) }).toEqual({ typed, lost: [] })
      }),
      { numRuns: 1000 },
    )
    expect(taken).toBeGreaterThan(20)
  })
})

test('whatever is typed is understood, refused in words, or nobody speaks like that', () => {
  const ours = [...RUN_OPTIONS].flatMap(([option, { short }]) => [`--${option}`, ...(short === undefined ? [] : [`-${short}`])])
  const words = [
    ...SPOKEN.flatMap(([, { options }]) => [...options.keys()]),
    ...ours,
    '--',
    'x',
    '8000',
    'https://h/mcp',
    'a:b',
    'A=b',
    '*',
    '${X}',
    '',
    '{',
    '-',
    '=',
  ]
  assert(
    property(array(constantFrom(...words), { maxLength: 8 }), (argv) => {
      refusable(() => recognise(argv, machineWith()))
    }),
    { numRuns: 3000 },
  )
})

function inWords(name: string, typed: readonly string[]): ReturnType<typeof translateAs> {
  const machine = machineWith({ env: { HOME: '/h' } })
  const [program = '', word] = name.split(' ')
  return word === undefined ? translateAs(program, typed, machine) : translateWord([word, ...typed], machine)
}

/** Values and words that are neither in our words nor spoken of. */
function lostOf(some: readonly (readonly string[])[], ending: readonly string[], { argv, env, warnings }: Translation): string[] {
  const told = warnings.join(' ')
  const found = [...argv, ...Object.values(env), told].join(' ')
  const values = some.flatMap(([option = '', ...each]) => (ALWAYS_SO.test(option) || told.includes(option) ? [] : each.flatMap(piecesOf)))
  const isCommand = ending[0] === 'cmd' || ending[1] === 'cmd'
  const words = ending.filter((word) => word !== '--')
  return [...values, ...(isCommand ? [words.join(' ')] : words)].filter((each) => !found.includes(each))
}

/** What must be found again of a value that becomes something else: of JSON the texts, of a list its items, of a number its digits. */
function piecesOf(value: string): string[] {
  if (value.startsWith('{')) return Object.values(JSON.parse(value) as Record<string, string>) // written above: texts
  if (/^\d+000$/.test(value)) return [value.slice(0, -3)]
  if (/^\/[xy]\d+\/(?:sse|mcp)$/.test(value)) return [value.replace(/\/\w+$/, '')]
  return value.split(/[ ,]|: /)
}
