// Children: what they get, how they end, and that nothing of them is left behind.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { at, isJson, jsonOf, type Json } from '../support/json.ts'
import { INITIALIZED, callMessage, initializeMessage, returned, serve, serveOnStdio, typed, type Proxy } from '../support/openmcp.ts'
import { childrenOf, gone, groupOf, isAlive, killAfterTest, membersOf } from '../support/processes.ts'
import { scripted } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, openSession, type Session, type Stream } from '../support/wire.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const QUICK = ['--stop-timeout', '0.3']

/** Who the child is, by its own word. */
async function whoIn(session: Session): Promise<{ pid: number; grandchild: number; cwd: string; argv: unknown; env: Json }> {
  const who = await session.call('who')
  return { pid: Number(who['pid']), grandchild: Number(who['grandchild']), cwd: String(who['cwd']), argv: who['argv'], env: jsonOf(who['env']) }
}

const isAnswer = (id: number) => (message: Json) => message['id'] === id && message['method'] === undefined

/** The lines a child wrote on its stderr, as our log has them. */
function wordsOf(proxy: Pick<Proxy, 'stderr'>, pid: number): string[] {
  const mark = new RegExp(`^openmcp: \\[\\S+ ${pid}\\] `)
  return proxy.stderr.filter((line) => mark.test(line)).map((line) => line.replace(mark, ''))
}

describe('a child', () => {
  test('gets the least it needs of our environment, and what it is given', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'openmcp-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    writeFileSync(join(directory, 'env'), 'FROM_FILE="a b"\nOVERRIDDEN=by file\n')
    const proxy = await forThisTest(
      serve({
        command: scripted(),
        env: { SECRET_OF_OURS: 'secret', PASSED_ON: 'passed', AWS_SESSION_TOKEN: 'secret', NODE_OPTIONS: '' },
        options: ['-e', 'GIVEN=x=y', '-e', 'OVERRIDDEN=by option', '--env-file', join(directory, 'env'), '--pass-env', 'PASSED_ON', '--cwd', directory],
      }),
    )
    const { env, cwd } = await whoIn(await openSession(proxy.url))
    expect(env).toMatchObject({ GIVEN: 'x=y', FROM_FILE: 'a b', OVERRIDDEN: 'by option', PASSED_ON: 'passed', PATH: process.env['PATH'] })
    const usual = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER', 'LANG', 'TZ', 'TMPDIR']
    const others = Object.keys(env).filter((name) => !usual.includes(name) && !name.startsWith('LC_'))
    expect(others.toSorted()).toEqual(['FROM_FILE', 'GIVEN', 'OVERRIDDEN', 'PASSED_ON'])
    expect(cwd).toBe(directory)
  })

  test('gets its arguments as they are: no shell reads them', async () => {
    const words = ['$HOME', '`id`', 'a b', "it's", '"', '*', '; exit 1', '', '\\', '--', '-e']
    const proxy = await forThisTest(serve({ command: [...scripted(), '--', ...words] }))
    expect((await whoIn(await openSession(proxy.url))).argv).toEqual(['--', ...words])
  })

  test('has a group of its own', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const { pid } = await whoIn(await openSession(proxy.url))
    expect(groupOf(pid)).toBe(pid)
    expect(groupOf(pid)).not.toBe(groupOf(proxy.pid))
  })

  test('speaks on stderr, and our log has it line by line, marked, with nothing in it that moves a cursor', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const { pid } = await whoIn(session)
    await session.call('complain', { lines: ['one', 'two \u001b[31mred\u0007', 'openmcp: error: three'] })
    await until('three lines', () => wordsOf(proxy, pid).length === 3)
    expect(wordsOf(proxy, pid)).toEqual(['one', 'two \\u001b[31mred\\u0007', 'openmcp: error: three'])
  })

  test('may write what is no JSON on its stdout: it is dropped, and the call is answered', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const noise = [
      'Server starting…\n',
      '\n',
      '\r\n',
      '{"jsonrpc":\n',
      '"a string"\n',
      '[]\n',
      '{}\n',
      'null\n',
      '{"jsonrpc":"2.0","id":null,"result":{}}\n',
      '{"jsonrpc":"2.0","id":4711,"result":{}}\n',
    ]
    const answer = '{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":{"clean":true}}}\r\n'
    expect(await session.call('write', { base64: Buffer.from([...noise, answer].join('')).toString('base64') })).toEqual({ clean: true })
    expect(proxy.stderr.join('\n')).toMatch(/warning: the server wrote a line that is not JSON/)
    expect(isAlive((await whoIn(session)).pid)).toBe(true)
  })

  test('may send an answer too large: that call fails, and no other', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--max-message', '100k'] }))
    const session = await openSession(proxy.url)
    const held = await session.post(callMessage(1, 'hold', { key: 'k' }))
    const tooLarge = await session.post(callMessage(2, 'big', { bytes: 200_000 }))
    const refusal = await tooLarge.message(isAnswer(2))
    expect(at(refusal, 'error', 'message')).toMatch(/larger than 102400 bytes.*--max-message/)
    expect(at(await session.call('big', { bytes: 50_000 }), 'filler')).toBe('x'.repeat(50_000))
    await session.call('release', { key: 'k', value: { unharmed: true } })
    expect(returned(await held.message(isAnswer(1)))).toEqual({ unharmed: true })
  })

  test('may split its answers anywhere, also inside a character', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const bytes = Buffer.from('{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":{"word":"ü€😀"}}}\n')
    const held = await session.post(callMessage(1, 'hold', { key: 'never' }))
    const first = await session.post(callMessage(2, 'write', { base64: bytes.subarray(0, -8).toString('base64') }))
    const second = await session.post({ jsonrpc: '2.0', method: 'notifications/write', params: { base64: bytes.subarray(-8).toString('base64') } })
    await second.whole()
    expect(returned(await first.message(isAnswer(2)))).toEqual({ word: 'ü€😀' })
    await held.stop()
  })

  test('that closes its stdout and goes on is ended, and its calls are answered', async () => {
    const proxy = await forThisTest(serve({ command: scripted('--ignore-eof'), options: QUICK }))
    const session = await openSession(proxy.url)
    const { pid } = await whoIn(session)
    killAfterTest(pid)
    const held = await session.post(callMessage(1, 'hold', { key: 'k' }))
    const closing = await session.post(callMessage(2, 'close', { descriptor: 1 }))
    for (const [stream, id] of [
      [held, 1],
      [closing, 2],
    ] as const)
      expect(at(await stream.message(isAnswer(id)), 'error', 'code')).toBe(-32603)
    await gone(pid)
  })

  test('that closes its stdin and goes on is ended when it is spoken to, and its calls are answered', async () => {
    const proxy = await forThisTest(serve({ command: scripted('--ignore-eof'), options: QUICK }))
    const session = await openSession(proxy.url)
    const { pid } = await whoIn(session)
    killAfterTest(pid)
    const held = await session.post(callMessage(1, 'hold', { key: 'k' }))
    await session.post(callMessage(2, 'close', { descriptor: 0, words: 'closed' }))
    await proxy.says(/closed/)
    const late = await session.post(callMessage(3, 'who'))
    for (const [stream, id] of [
      [held, 1],
      [late, 3],
    ] as const)
      expect(at(await stream.message(isAnswer(id)), 'error', 'code')).toBe(-32603)
    await gone(pid)
  })

  test('that does not answer within --timeout is told so, and so is the client; a sign of life is enough', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--timeout', '0.6'] }))
    const session = await openSession(proxy.url)
    const silent = await session.post(callMessage(1, 'hold', { key: 'k' }))
    const busy = await session.post(callMessage(2, 'count', { marker: 'm', steps: 900 }, { progressToken: 'p' }))
    expect(at(await silent.message(isAnswer(1)), 'error', 'message')).toContain('within 0.6 s')
    expect(returned(await busy.message(isAnswer(2)))).toEqual({ marker: 'm' })
    expect(JSON.stringify((await session.call('seen'))['seen'])).toContain('"notifications/cancelled","params":{"requestId":1')
  })

  test('that answers and ends at once was heard', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    for (let round = 0; round < 5; round++) {
      const session = await openSession(proxy.url)
      expect(await session.call('die', { code: 0, last: { words: 'x'.repeat(100_000) } })).toEqual({ words: 'x'.repeat(100_000) })
    }
  })

  test('that dies in the middle of calls has every one of them answered, with its last words', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const streams = await Promise.all([1, 2, 3].map((id) => session.post(callMessage(id, 'hold', { key: id }))))
    streams.push(await session.post(callMessage(4, 'die', { code: 3, words: 'cannot go on' })))
    for (const [index, stream] of streams.entries()) {
      const { error } = await stream.message(isAnswer(index + 1))
      expect(at(error, 'code')).toBe(-32603)
      expect(at(error, 'message')).toMatch(/ended with exit code 3.*cannot go on/)
    }
  })

  test('that is killed in the middle of a call has it answered, and no other child is touched', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const [legacy, other] = [await openSession(proxy.url), await openSession(proxy.url)]
    const { pid } = await whoIn(legacy)
    const stream = await legacy.post(callMessage(1, 'hold', { key: 'k' }))
    const bystander = await other.post(callMessage(1, 'hold', { key: 'k' }))
    process.kill(pid, 'SIGKILL')
    expect(at(await stream.message(isAnswer(1)), 'error', 'message')).toContain('SIGKILL')
    expect(bystander.over).toBeUndefined()
    await other.call('release', { key: 'k', value: { unharmed: true } })
    expect(returned(await bystander.message(isAnswer(1)))).toEqual({ unharmed: true })
  })

  test('is not harmed by a client that leaves in the middle of a call to another child', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const [leaver, stayer] = [await openSession(proxy.url), await openSession(proxy.url)]
    const { pid } = await whoIn(leaver)
    const left = await leaver.post(callMessage(1, 'hold', { key: 'k' }))
    const stayed = await stayer.post(callMessage(1, 'hold', { key: 'k' }))
    await leaver.end()
    await gone(pid)
    await left.whole()
    await stayer.call('release', { key: 'k', value: { unharmed: true } })
    expect(returned(await stayed.message(isAnswer(1)))).toEqual({ unharmed: true })
  })
})

describe('a child that does not start', () => {
  test('because there is no such command: said in words at start, exit code 1', async () => {
    for (const where of [['-p', '0'], []]) {
      const { code, stdout, stderr } = await typed(['run', ...where, '--', 'no-such-command-anywhere', 'x'])
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^openmcp: error: command not found: no-such-command-anywhere\nopenmcp: hint: .+$/)
    }
  })

  test('because it is not executable: said in words at start, exit code 1', async () => {
    const { code, stderr } = await typed(['run', '-p', '0', '--', join(ROOT, 'package.json')])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^openmcp: error: not executable: .*package\.json\nopenmcp: hint: .+$/)
  })

  test('because it ends at once: its exit code and last words are told, to the client too', async () => {
    const proxy = await forThisTest(serve({ command: scripted('--start-words', 'no database\nat all', '--exit-at-start', '7') }))
    const said = await proxy.says(/ended with exit code 7/)
    expect(said.input).toContain('no database | at all')
    const { status, json } = await ask(proxy.url, { headers: { accept: 'application/json, text/event-stream' }, body: initializeMessage('mine') })
    expect(status).toBe(502)
    expect(json).toMatchObject({ id: 'mine', error: { code: -32603, message: expect.stringMatching(/exit code 7.*no database \| at all/) } })
  })

  test('because it ends at once, on stdio: the client is told the same, exit code 1', async () => {
    const { code, stdout, stderr } = await typed(['run', '--', ...scripted('--start-words', 'no database', '--exit-at-start', '7')], {
      input: `${JSON.stringify(initializeMessage(1))}\n`,
    })
    expect(code).toBe(1)
    expect(jsonOf(JSON.parse(stdout))).toMatchObject({ id: 1, error: { code: -32603, message: expect.stringMatching(/exit code 7.*no database/) } })
    expect(stderr).toMatch(/openmcp: error: the server \S+ ended with exit code 7/)
  })
})

describe('stopping', () => {
  /** What the children of a test heard, in order, and that they are gone. */
  async function stopped(flags: string[]): Promise<string[]> {
    const proxy = await forThisTest(serve({ command: scripted(...flags), options: [...QUICK, '--debug'] }))
    const session = await openSession(proxy.url)
    const { pid } = await whoIn(session)
    killAfterTest(pid)
    await session.end()
    await gone(pid)
    await proxy.says(new RegExp(`child stopped .*pid=${pid}`))
    return wordsOf(proxy, pid)
  }

  test('begins with the end of stdin, which is enough for a polite child', async () => {
    expect(await stopped([])).toEqual(['saw EOF'])
  })

  test('goes on with SIGTERM for a child that ignores the end of its stdin', async () => {
    expect(await stopped(['--ignore-eof'])).toEqual(['saw EOF', 'saw SIGTERM'])
  })

  test('ends with SIGKILL for a child that ignores both', async () => {
    expect(await stopped(['--ignore-eof', '--ignore-term'])).toEqual(['saw EOF', 'saw SIGTERM'])
  })

  const chains = [
    { what: 'sh → node', command: ['sh', '-c', `${scripted().join(' ')}; true`] },
    { what: 'sh → node that ignores everything', command: ['sh', '-c', `${scripted('--ignore-eof', '--ignore-term').join(' ')}; true`] },
    { what: 'node → node that holds the pipes and ignores everything', command: scripted('--grandchild') },
    { what: 'sh → node → node that holds the pipes and ignores everything', command: ['sh', '-c', `${scripted('--grandchild').join(' ')}; true`] },
    { what: 'sh that leaves a node in the background', command: ['sh', '-c', `node -e 'setInterval(() => {}, 1e9)' <&0 & exec ${scripted().join(' ')}`] },
  ]

  test.each(chains)('leaves nothing of $what when its session ends', async ({ command }) => {
    const proxy = await forThisTest(serve({ command, options: QUICK }))
    const session = await openSession(proxy.url)
    const { pid } = await whoIn(session)
    const group = groupOf(pid)
    const members = membersOf(group)
    killAfterTest(...members)
    expect(members).toContain(pid)
    expect(members.length).toBeGreaterThan(1)
    await session.end()
    await until('an empty group', () => membersOf(group).length === 0)
    await gone(...members)
  })

  test.each(chains)('leaves nothing of $what when openmcp is told to stop', async ({ command }) => {
    const proxy = await forThisTest(serve({ command, options: QUICK }))
    const { pid } = await whoIn(await openSession(proxy.url))
    const group = groupOf(pid)
    killAfterTest(...membersOf(group))
    proxy.signal('SIGTERM')
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    expect(membersOf(group)).toEqual([])
  })

  test.each(chains)('leaves nothing of $what when its client on stdio leaves', async ({ command }) => {
    const proxy = await forThisTest(serveOnStdio({ command, options: QUICK }))
    proxy.send(initializeMessage(1))
    proxy.send(INITIALIZED)
    proxy.send(callMessage(2, 'who'))
    const group = groupOf(Number(returned(await proxy.answerTo(2))['pid']))
    killAfterTest(...membersOf(group))
    proxy.endInput()
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    expect(membersOf(group)).toEqual([])
  })

  test('leaves nothing of a server that npx started', async () => {
    const proxy = await forThisTest(serve({ command: ['npx', '--no-install', 'mcp-server-everything'], cwd: ROOT, options: QUICK }))
    const session = await openSession(proxy.url)
    const [npx = 0] = childrenOf(proxy.pid)
    const group = groupOf(npx)
    const members = membersOf(group)
    killAfterTest(...members)
    expect(members.length).toBeGreaterThan(1)
    await session.end()
    await gone(...members)
    expect(membersOf(group)).toEqual([])
  })

  test('leaves no child when openmcp itself is killed', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const { pid } = await whoIn(await openSession(proxy.url))
    killAfterTest(pid)
    proxy.signal('SIGKILL')
    await gone(pid)
    expect(await proxy.ended).toEqual({ code: null, signal: 'SIGKILL' })
  })

  test('leaves no child after many clients that came, called and went away in the middle', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--idle', '0.5'] }))
    const round = async (): Promise<Stream> => {
      const session = await openSession(proxy.url)
      const stream = await session.post(callMessage(1, 'count', { marker: 'm', steps: 5 }, { progressToken: 'p' }))
      await stream.stop()
      return stream
    }
    for (let rounds = 0; rounds < 5; rounds++) await Promise.all(Array.from({ length: 4 }, round))
    await until('no child and no session', async () => {
      const { json } = await ask(proxy.at('/status'))
      return childrenOf(proxy.pid).length === 0 && json['sessions'] === 0 && json['upstreams'] === 0
    })
    const { env } = await whoIn(await openSession(proxy.url))
    expect(isJson(env)).toBe(true)
  })
})
