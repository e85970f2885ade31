import { describe, expect, test } from 'vitest'
import { readArguments, type Arguments } from '../../src/cli/arguments.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'

const read = (...args: string[]): Arguments => readArguments(args, RUN_OPTIONS)
const valuesOf = ({ given }: Arguments) => Object.fromEntries([...given].map(([name, uses]) => [name, uses.map((use) => use.value)]))
const mistakesOf = (...args: string[]) => read(...args).mistakes.map(({ code, message, hint }) => ({ code, message, hint }))

describe('our options end where the words of another program begin', () => {
  test.each([
    { typed: ['-p', '8000', 'npx', '-y', 'pkg'], ours: { publish: ['8000'] }, words: ['npx', '-y', 'pkg'] },
    { typed: ['-p8000', 'npx', '-y', 'pkg'], ours: { publish: ['8000'] }, words: ['npx', '-y', 'pkg'] },
    { typed: ['-p=8000', 'node', 'x.js'], ours: { publish: ['8000'] }, words: ['node', 'x.js'] },
    { typed: ['--publish=8000', 'node', '-p', '9'], ours: { publish: ['8000'] }, words: ['node', '-p', '9'] },
    { typed: ['--publish', '8000', 'node', '--', '-x'], ours: { publish: ['8000'] }, words: ['node', '--', '-x'] },
    { typed: ['-p', '8000', '--', '--weird'], ours: { publish: ['8000'] }, words: ['--weird'] },
    { typed: ['--', '-p', '8000'], ours: {}, words: ['-p', '8000'] },
    { typed: ['--', 'http://host/'], ours: {}, words: ['http://host/'] },
    { typed: ['npx', '--debug', '--help'], ours: {}, words: ['npx', '--debug', '--help'] },
    { typed: ['--debug', '-e', 'A=1', '-eB=2', '-e=C=3', '--env=D==4', 'x'], ours: { debug: [''], env: ['A=1', 'B=2', 'C=3', 'D==4'] }, words: ['x'] },
    { typed: ['-H', 'A: -x', '--name=-n', 'x', ''], ours: { header: ['A: -x'], name: ['-n'] }, words: ['x', ''] },
    { typed: ['-p', '8000', ''], ours: { publish: ['8000'] }, words: [''] },
    { typed: ['-p', '8000', '-'], ours: { publish: ['8000'] }, words: ['-'] },
  ])('$typed', ({ typed, ours, words }) => {
    const args = read(...typed)
    expect(args.mistakes).toEqual([])
    expect(valuesOf(args)).toEqual(ours)
    expect(args.words).toEqual(words)
    expect(args.kind).toBe('command')
  })

  test('without a word there is none', () => {
    expect(read('-p', '8000:http://h/')).toMatchObject({ kind: 'none', words: [] })
    expect(read('-p', '8000', '--')).toMatchObject({ kind: 'none', words: [] })
    expect(read()).toMatchObject({ kind: 'none', words: [] })
  })

  test('behind an upstream, which is no program, our options go on', () => {
    const args = read('--debug', 'https://host/mcp', '-H', 'A: b', '--name', 'x')
    expect(args).toMatchObject({ kind: 'upstream', words: ['https://host/mcp'], mistakes: [] })
    expect(valuesOf(args)).toEqual({ debug: [''], header: ['A: b'], name: ['x'] })
  })

  test('an option is told from its value by the name it was typed with', () => {
    expect(read('-p', '1', 'x').given.get('publish')).toEqual([{ as: '-p', value: '1' }])
    expect(read('--publish=1', 'x').given.get('publish')).toEqual([{ as: '--publish', value: '1' }])
  })
})

describe('refusals', () => {
  test.each([
    { typed: ['--publsh', '8000'], message: 'unknown option --publsh', hint: 'did you mean --publish' },
    { typed: ['--headers=x'], message: 'unknown option --headers', hint: 'did you mean --header' },
    { typed: ['--pass-environment'], message: 'unknown option --pass-environment', hint: 'did you mean --pass-env' },
    { typed: ['--port', '8000'], message: 'unknown option --port', hint: 'did you mean -p [HOST:]PORT' },
    { typed: ['--host=0.0.0.0'], message: 'unknown option --host', hint: 'did you mean -p HOST:PORT' },
    { typed: ['--isolaton', 'x'], message: 'unknown option --isolaton', hint: 'did you mean --isolation' },
    { typed: ['-v'], message: 'unknown option -v', hint: 'did you mean --version' },
    { typed: ['-y'], message: 'unknown option -y', hint: "openmcp run --help lists the options; those of COMMAND go behind it, or behind '--'" },
    {
      typed: ['--__proto__=x'],
      message: 'unknown option --__proto__',
      hint: "openmcp run --help lists the options; those of COMMAND go behind it, or behind '--'",
    },
    {
      typed: ['--constructor'],
      message: 'unknown option --constructor',
      hint: "openmcp run --help lists the options; those of COMMAND go behind it, or behind '--'",
    },
    { typed: ['-p'], message: '-p lacks its value', hint: '-p PUBLISH' },
    { typed: ['--cwd='], message: '--cwd lacks its value', hint: '--cwd DIR' },
    {
      typed: ['-p', '--debug', 'x'],
      message: '-p lacks its value: what follows looks like an option',
      hint: '--publish=VALUE takes a value that begins with a dash',
    },
    {
      typed: ['--timeout', '-5', 'x'],
      message: '--timeout lacks its value: what follows looks like an option',
      hint: '--timeout=VALUE takes a value that begins with a dash',
    },
    { typed: ['--debug=yes'], message: '--debug takes no value', hint: undefined },
    { typed: ['-p', '1', '-p', '2', 'x'], message: '-p is given more than once', hint: 'keep one -p PUBLISH' },
    { typed: ['-p', '1', '--publish=1', 'x'], message: '--publish is given more than once', hint: 'keep one --publish PUBLISH' },
    { typed: ['https://host/', 'x'], message: "one word too many behind the upstream: 'x'", hint: 'give an upstream or a COMMAND' },
    { typed: ['https://host/', '--', 'x'], message: "one word too many behind the upstream: 'x'", hint: 'give an upstream or a COMMAND' },
  ])('$typed', ({ typed, message, hint }) => {
    expect(mistakesOf(...typed)).toEqual([{ code: 'usage', message, hint }])
  })

  test('all mistakes are found, not only the first', () => {
    expect(mistakesOf('--nope', '--debug=1', '-p', '1', '-p', '2', '-e').map((mistake) => mistake.message)).toEqual([
      'unknown option --nope',
      '--debug takes no value',
      '-p is given more than once',
      '-e lacks its value',
    ])
  })

  test.each(['--nope=hunter2', '--debug=hunter2', '--api-key=hunter2', '-ehunter2=-p'])('%s: a refusal never repeats a value', (typed) => {
    expect(JSON.stringify(mistakesOf(typed))).not.toContain('hunter2')
  })

  test.each([['--metrics'], ['--audit', 'file']])('%s is known, not built, and refused rather than ignored', (...typed) => {
    const args = read(...typed, '-p', '8000', 'npx', 'x')
    expect(args.mistakes).toMatchObject([
      { code: 'unavailable_option', message: `${typed[0]} is not built yet; openmcp refuses it rather than run without it` },
    ])
    expect(args.words).toEqual(['npx', 'x'])
  })
})
