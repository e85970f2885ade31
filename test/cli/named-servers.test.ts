import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { parseConfig } from '../../src/cli/config-file.ts'
import type { Machine } from '../../src/cli/machine.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions, type RunOptions } from '../../src/cli/run-options.ts'
import { splitWords } from '../../src/cli/split-words.ts'
import type { OpenMcpError } from '../../src/errors.ts'
import { machineWith } from './machine.ts'
import { refusalIn } from './refusal.ts'

const machine = machineWith({
  files: { 'c.json': '{"mcpServers":{"mail":{"command":"mail-server"}}}', 'a.json': '{"aggregate":true,"mcpServers":{"mail":{"command":"m"}}}' },
})
const typed = (args: string[], on: Machine = machine): RunOptions => runOptions(readArguments(args, RUN_OPTIONS), on, parseConfig)
const refusalOf = (...args: string[]): OpenMcpError => refusalIn(args.join(' '), () => typed(args))
const namesIn = ({ servers }: RunOptions): string[] => servers.map(({ name }) => name)

describe('a command line in one text', () => {
  const LINES = [
    `uvx mcp-server-git --repository "My Work"`,
    `a  'b c'\\ d "e\\"f" g\\\\h`,
    `'it'\\''s' "" '' x""y`,
    `a\\\nb "c\\\nd" 'e\\\nf' \n g`,
    `"\\a \\$ \\\` \\\\" \\a`,
    `tab\there`,
  ]

  test.each(LINES)('%j is split as sh splits it', (line) => {
    const bySh = execFileSync('/bin/sh', ['-c', `for word in ${line.replaceAll('\n g', ' g')}; do printf '%s\\0' "$word"; done`], { encoding: 'utf8' })
    expect(splitWords(line)).toEqual(bySh.split('\0').slice(0, -1))
  })

  test('has nothing that is expanded, and nothing that runs another program', () => {
    expect(splitWords('a $HOME `id` $(id) ~ * | tee > x; y && z')).toEqual(['a', '$HOME', '`id`', '$(id)', '~', '*', '|', 'tee', '>', 'x;', 'y', '&&', 'z'])
  })

  test.each(["a 'b", 'a "b', 'a "b\\"', 'a\\', `"a'b`])('%j has an end that is open', (line) => expect(splitWords(line)).toBeUndefined())
})

describe('--named-server', () => {
  test('names servers that are started as they are written, beside one at the root or without', () => {
    const { options, servers } = typed(['-p', '0', '--named-server', 'git=uvx git --at "My Work"', '--named-server', 'a=b=c', '--isolation', 'shared', 'cat'])
    expect(options.target).toMatchObject({ command: 'cat' })
    expect(servers.map(({ name, target, isolation }) => [name, target.kind === 'command' && [target.command, ...target.args], isolation])).toEqual([
      ['git', ['uvx', 'git', '--at', 'My Work'], 'shared'],
      ['a', ['b=c'], 'shared'],
    ])
    expect(typed(['-p', '8000', '--named-server', 'git=g']).options).toMatchObject({ listen: { port: 8000 } })
    expect('target' in typed(['-p', '8000', '--named-server', 'git=g']).options).toBe(false)
    expect(namesIn(typed(['-p', '0', '--named-server', 'git=g', '--config', 'c.json']))).toEqual(['git', 'mail'])
  })

  test('they get what every child gets of our environment, and nothing else', () => {
    const [server] = typed(['-p', '0', '--named-server', 'git=g'], machineWith({ env: { PATH: '/bin', SECRET: 'x' } })).servers
    expect(server?.target).toMatchObject({ env: { PATH: '/bin' } })
    expect(JSON.stringify(server)).not.toContain('SECRET')
  })

  test.each(['git', '=g', 'git=', 'git=  ', '/=g', 'git="g', "git=g 'x", 'git=g\\'])('%j is a mistake that repeats nothing of it but its name', (value) => {
    const { code, message, hint } = refusalOf('-p', '0', '--named-server', value, 'cat')
    expect([code, message]).toEqual(['usage', expect.stringMatching(/^--named-server (?:git: |takes NAME=COMMAND)/)])
    expect(hint).toContain('--named-server')
  })

  test.each(['git=g --api-key 12345', 'git=g --token=12345', 'git=API_KEY=12345 g API_KEY=12345'])(
    'a secret in %j is warned about, without its value',
    (value) => {
      const { warnings } = typed(['-p', '0', '--named-server', value])
      expect(warnings).toEqual([
        expect.stringMatching(/^--named-server git: (?:--api-key|--token|API_KEY): other programs of this machine can read a command line/),
      ])
      expect(warnings.join('')).not.toContain('12345')
    },
  )

  test.each(['git=g --max-tokens --other', 'git=g tokens', 'git=g --verbose x'])('%j is not warned about', (value) => {
    expect(typed(['-p', '0', '--named-server', value]).warnings).toEqual([])
  })
})

describe('several servers as one', () => {
  test.each([
    [['-p', '0', '--named-server', 'git=g', '--aggregate']],
    [['-p', '0', '--config', 'c.json', '--aggregate']],
    [['-p', '0', '--config', 'a.json']],
    [['--config', 'c.json']],
    [['--named-server', 'git=g']],
  ])('%j', (args) => expect(typed(args).options).toMatchObject({ aggregate: { name: 'openmcp' } }))

  test('is not what nobody asked for on a port', () => {
    expect('aggregate' in typed(['-p', '0', '--config', 'c.json']).options).toBe(false)
  })

  test.each([
    [['-p', '0', '--aggregate', '--named-server', 'git=g', 'cat'], '--aggregate puts all servers at /mcp'],
    [['-p', '0', '--config', 'a.json', 'cat'], 'aggregate in the file puts all servers at /mcp'],
    [['-p', '0', '--aggregate', 'cat'], '--aggregate puts all servers at /mcp'],
  ])('%j names two things for one place', (args, message) =>
    expect(refusalOf(...args)).toMatchObject({ code: 'usage', message: expect.stringContaining(message) }),
  )
})

describe('--allow-tool and --block-tool', () => {
  test('are rules of the server at the root', () => {
    expect(typed(['-p', '0', '--allow-tool', 'get_*', '--allow-tool', 'echo', '--block-tool', 'get_secret', 'cat']).options).toMatchObject({
      tools: { allow: ['get_*', 'echo'], block: ['get_secret'] },
    })
    expect('tools' in typed(['-p', '0', 'cat']).options).toBe(false)
    expect(typed(['--block-tool', 'x', 'cat']).options).toMatchObject({ tools: { block: ['x'] } })
  })

  test('need one there, and a pattern', () => {
    expect(refusalOf('-p', '0', '--allow-tool', 'x', '--named-server', 'git=g')).toMatchObject({ message: expect.stringContaining('there is none') })
    expect(refusalOf('-p', '0', '--block-tool', '', 'cat')).toMatchObject({ message: expect.stringContaining('takes a glob') })
  })
})
