import { describe, expect, test } from 'vitest'
import { COMMANDS_NOT_BUILT, WORDY } from '../../src/cli/commands.ts'
import { COMMAND_TOPICS } from '../../src/cli/help/command-topics.ts'
import { RUN_TOPICS } from '../../src/cli/help/run-topics.ts'
import { RUN_OPTIONS, TEST_OPTIONS, type OptionTable } from '../../src/cli/option-table.ts'
import { USAGE } from '../../src/cli/usage.ts'
import type { OpenMcpOptions } from '../../src/openmcp.ts'
import { type } from './terminal.ts'

const COMMANDS = new Map([...WORDY, ['test', TEST_OPTIONS]])
/** They go with every command, and are told with `run`. */
const EVERYWHERE = ['help', 'debug']

describe('the first screen', () => {
  test.each([[['--help']], [['-h']], [['help']], [['help', 'help']], [['-p', '1', '--help']], [['--nope', '--help']]])(
    '%j prints it on stdout',
    async (argv) => {
      expect(await type(argv)).toEqual({ code: 0, stdout: USAGE, stderr: '' })
    },
  )

  test('fits a screen, and names every topic and what is not built', () => {
    const lines = USAGE.trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(64)
    expect(lines.filter((line) => line.length > 130)).toEqual([])
    for (const topic of [...RUN_TOPICS.keys(), ...COMMAND_TOPICS.keys()]) expect(USAGE.split('by topic')[1]).toMatch(new RegExp(`\\b${topic}\\b`))
    for (const name of COMMANDS_NOT_BUILT) expect(USAGE.split('not built yet')[1]).toContain(name)
  })
})

describe('a topic', () => {
  test.each([...RUN_TOPICS.keys(), ...COMMAND_TOPICS.keys()])('%s is told on stdout, and fits a screen', async (topic) => {
    const { code, stdout, stderr } = await type(['help', topic])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(new RegExp(`^${topic}: .*\n\n`))
    const lines = stdout.trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(64)
    expect(lines.filter((line) => line.length > 160)).toEqual([])
  })

  test.each([...COMMANDS.keys()].filter((command) => command !== 'help'))('of %s is its --help', async (command) => {
    expect((await type([command, '--help'])).stdout).toBe((await type(['help', command])).stdout)
  })

  test('of run is all of its topics', async () => {
    const { code, stdout } = await type(['run', '-h', '-p', '1'])
    expect(code).toBe(0)
    expect(stdout).toBe((await type(['help', 'run'])).stdout)
    for (const text of RUN_TOPICS.values()) expect(stdout).toContain(text)
  })

  test('that nobody knows is a mistake, and the nearest is named', async () => {
    expect(await type(['help', 'limit'])).toEqual({
      code: 2,
      stdout: '',
      stderr: "openmcp: error: openmcp help knows nothing of 'limit'\nopenmcp: hint: did you mean openmcp help limits\n",
    })
    expect((await type(['help', 'everything-there-is'])).stderr).toContain('there is servers, upstreams, ')
    expect(await type(['help', 'tsp', 'limits'])).toMatchObject({ code: 2, stdout: '' })
  })

  test('of a COMMAND is its own affair', async () => {
    const ran: OpenMcpOptions[] = []
    const { stdout } = await type(['npx', '--help'], {}, async ({ options }) => ran.push(options) * 0)
    expect(stdout).toBe('')
    expect(ran).toMatchObject([{ target: { command: 'npx', args: ['--help'] } }])
  })
})

describe('every option stands in exactly one topic, as the table has it, and no topic has another', () => {
  test('of run', () => {
    expect([...RUN_TOPICS.values()].flatMap(optionsIn).toSorted()).toEqual(optionsOf(RUN_OPTIONS))
  })

  test.each([...COMMANDS].filter(([command]) => command !== 'help'))('of %s', (command, table) => {
    expect(optionsIn(COMMAND_TOPICS.get(command) ?? '').toSorted()).toEqual(optionsOf(table, EVERYWHERE))
  })
})

/** As a topic tells them: `-p, --publish PUBLISH`. */
function optionsIn(text: string): string[] {
  return text.split('\n').flatMap((line) => /^ {2}((?:-\w, )?--\S+(?: \S+)*) {2,}\S/.exec(line)?.[1] ?? [])
}

function optionsOf(table: OptionTable, but: readonly string[] = []): string[] {
  return [...table]
    .filter(([name, { notBuilt }]) => notBuilt !== true && !but.includes(name))
    .map(([name, { short, value }]) => `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`)
    .toSorted()
}
