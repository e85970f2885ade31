// openmcp on stdin and stdout, as a client starts it.
import { spawn } from 'node:child_process'
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { at, jsonOf, type Json } from '../support/json.ts'
import { INITIALIZED, PROGRAM, callMessage, initializeMessage, returned, serveOnStdio, typed, type StdioProxy } from '../support/openmcp.ts'
import { gone, killAfterTest } from '../support/processes.ts'
import { startProgram } from '../support/program.ts'
import { freePort, listening, scripted, sdkServerFile } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'

async function initialized(starting: StdioProxy): Promise<StdioProxy> {
  const proxy = await forThisTest(starting)
  proxy.send(initializeMessage('initialize'))
  await proxy.answerTo('initialize')
  proxy.send(INITIALIZED)
  return proxy
}

const linesOf = (...messages: Json[]): string => messages.map((message) => `${JSON.stringify(message)}\n`).join('')

describe('stdout', () => {
  test('carries JSON-RPC and nothing else, whatever is said and however much is logged', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted('--start-words', 'a banner'), options: ['--debug'] }))
    const noise = 'console.log style noise\n\u001b[31mcolour\n{"half":\n'
    proxy.send(callMessage(1, 'write', { base64: Buffer.from(`${noise}{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":{}}}\n`).toString('base64') }))
    await proxy.answerTo(1)
    proxy.send(callMessage(2, 'complain', { lines: ['a complaint'] }))
    await proxy.answerTo(2)
    proxy.send(callMessage(3, 'echo', { text: 'line\nbreaks \u2028 \r and \u0085' }))
    expect(returned(await proxy.answerTo(3))).toEqual({ text: 'line\nbreaks \u2028 \r and \u0085' })
    proxy.write('this is not JSON\n{"jsonrpc":"1.0","id":5,"method":"x"}\n\n')
    await until('both refusals', () => proxy.messages().filter((message) => message['error'] !== undefined).length === 2)
    proxy.endInput()
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    expect(proxy.messages().every((message) => message['jsonrpc'] === '2.0')).toBe(true)
    expect(proxy.messages()).toHaveLength(6)
    expect(proxy.stderr.join('\n')).toMatch(/a banner[^]*a complaint/)
  })

  test('has for a line that is no message the JSON-RPC error it deserves, and the next line is served', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted() }))
    const lines: [string, Json][] = [
      ['{', { id: null, error: { code: -32700 } }],
      ['"text"', { id: null, error: { code: -32600 } }],
      ['{"jsonrpc":"2.0","id":11}', { id: 11, error: { code: -32600 } }],
      ['{"jsonrpc":"2.0","id":{},"method":"x"}', { id: null, error: { code: -32600 } }],
      ['[]', { id: null, error: { code: -32600 } }],
      [`{"jsonrpc":"2.0","id":12,"method":"x","params":{"deep":${'['.repeat(300)}${']'.repeat(300)}}}`, { error: { code: -32600 } }],
    ]
    for (const [line] of lines) proxy.write(`${line}\n`)
    proxy.send(callMessage(1, 'echo', { served: true }))
    expect(returned(await proxy.answerTo(1))).toEqual({ served: true })
    const errors = proxy.messages().filter((message) => message['error'] !== undefined)
    expect(errors).toHaveLength(lines.length)
    for (const [index, [, expected]] of lines.entries()) expect(errors[index]).toMatchObject(expected)
  })

  test('carries a flood in order and whole to a slow reader, and the answer behind it', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'run', '--', ...scripted()], { stdio: ['pipe', 'pipe', 'ignore'] })
    await forThisTest({ stop: async () => child.kill('SIGKILL') })
    child.stdout.setEncoding('utf8').pause()
    const count = 20_000
    child.stdin.write(linesOf(initializeMessage(0), INITIALIZED, callMessage(1, 'flood', { count, bytes: 500 })))
    let begun = ''
    const messages: Json[] = []
    await until(
      'the answer behind the flood',
      () => {
        const text = String(child.stdout.read() ?? '')
        const lines = (begun + text).split('\n')
        begun = lines.pop() ?? ''
        messages.push(...lines.map((line) => jsonOf(JSON.parse(line))))
        return messages.at(-1)?.['id'] === 1
      },
      40_000,
    )
    const numbers = messages.filter(({ method }) => method === 'notifications/message').map((message) => at(message, 'params', 'data', 'number'))
    expect(numbers).toHaveLength(count)
    expect(numbers.every((number, index) => number === index + 1)).toBe(true)
  })
})

describe('the end of stdin', () => {
  test('is the end of openmcp and of the child, exit code 0', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted() }))
    proxy.send(callMessage(1, 'who'))
    const pid = Number(returned(await proxy.answerTo(1))['pid'])
    killAfterTest(pid)
    proxy.endInput()
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    await gone(pid)
  })

  test('waits for the answers that are still to come', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted() }))
    for (const marker of ['a', 'b', 'c']) proxy.send(callMessage(marker, 'count', { marker, steps: 100 }))
    proxy.endInput()
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    for (const marker of ['a', 'b', 'c']) expect(returned(await proxy.answerTo(marker))).toEqual({ marker })
  })

  test('waits no longer than --drain for an answer that does not come', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted(), options: ['--drain', '0.3'] }))
    proxy.send(callMessage(1, 'hold', { key: 'never' }))
    proxy.endInput()
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
  })

  test('comes with the whole conversation in a pipe of the shell', async () => {
    const conversation = linesOf(initializeMessage(1), INITIALIZED, callMessage(2, 'echo', { text: 'hello' }))
    const line = `printf '%s' '${conversation}' | '${process.execPath}' '${PROGRAM}' run -- ${scripted().join(' ')}; echo "exit code $?"`
    const shell = startProgram('sh', ['-c', line])
    await shell.ended
    expect(shell.stdout.at(-1)).toBe('exit code 0')
    const [first, second] = shell.stdout.map((text) => (text.startsWith('{') ? jsonOf(JSON.parse(text)) : {}))
    expect(first).toMatchObject({ id: 1, result: { serverInfo: { name: 'scripted' } } })
    expect(returned(second ?? {})).toEqual({ text: 'hello' })
  })

  test('may come without a line break before it', async () => {
    const { code, stdout } = await typed(['run', '--', ...scripted()], { input: JSON.stringify(initializeMessage(1)) })
    expect(code).toBe(0)
    expect(jsonOf(JSON.parse(stdout))).toMatchObject({ id: 1, result: {} })
  })

  test('comes before anything was said: then nothing is said, exit code 0', async () => {
    expect(await typed(['run', '--', ...scripted()])).toMatchObject({ code: 0, stdout: '' })
  })
})

describe('a reader that is gone', () => {
  test('is the end of openmcp and of the child', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'run', '--', ...scripted()], { stdio: 'pipe' })
    await forThisTest({ stop: async () => child.kill('SIGKILL') })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.stdin.write(linesOf(initializeMessage(1), INITIALIZED, callMessage(2, 'who')))
    const pid = await new Promise<number>((resolve) => {
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
        const match = /"pid":(\d+)/.exec(text)
        if (match) resolve(Number(match[1]))
      })
    })
    killAfterTest(pid)
    child.stdout.destroy()
    child.stdin.write(linesOf(callMessage(3, 'flood', { count: 2000, bytes: 1000 })))
    await ended
    await gone(pid)
    expect(stderr).not.toMatch(/internal|\bat .*\.mjs/)
  })
})

describe('an upstream that is gone', () => {
  test('as a child: every call in flight is answered, exit code 1, the last words are told', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted() }))
    proxy.send(callMessage(1, 'hold', { key: 'a' }))
    proxy.send(callMessage(2, 'hold', { key: 'b' }))
    proxy.send(callMessage(3, 'die', { code: 9, words: 'out of luck' }))
    expect(await proxy.ended).toEqual({ code: 1, signal: null })
    for (const id of [1, 2, 3]) expect(at(await proxy.answerTo(id), 'error', 'message')).toMatch(/exit code 9.*out of luck/)
    expect(proxy.stderr.join('\n')).toMatch(/openmcp: error: the server \S+ ended with exit code 9/)
  })

  test('between two calls: exit code 1, nothing on stdout', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted() }))
    proxy.send(callMessage(1, 'who'))
    process.kill(Number(returned(await proxy.answerTo(1))['pid']), 'SIGKILL')
    expect(await proxy.ended).toEqual({ code: 1, signal: null })
    expect(proxy.messages()).toHaveLength(2)
  })

  test('over HTTP+SSE: every call in flight is answered, and so is the next', async () => {
    const server = await forThisTest(listening([sdkServerFile(), 'sse']))
    const proxy = await initialized(serveOnStdio({ upstream: `${server.origin}/sse` }))
    proxy.send(callMessage(1, 'hang', { key: 'a' }))
    proxy.send(callMessage(2, 'heard'))
    await proxy.answerTo(2)
    server.signal('SIGKILL')
    expect(at(await proxy.answerTo(1), 'error', 'code')).toBe(-32603)
    proxy.send(callMessage(3, 'heard'))
    expect(at(await proxy.answerTo(3), 'error', 'message')).toMatch(/nothing listens there|closed the connection/)
  })

  test('over Streamable HTTP: every call in flight is answered, and so is the next', async () => {
    const server = await forThisTest(listening([sdkServerFile(), 'http']))
    const proxy = await initialized(serveOnStdio({ upstream: `${server.origin}/mcp` }))
    proxy.send(callMessage(1, 'hang', { key: 'a' }))
    proxy.send(callMessage(2, 'heard'))
    await proxy.answerTo(2)
    server.signal('SIGKILL')
    expect(at(await proxy.answerTo(1), 'error', 'code')).toBe(-32603)
    proxy.send(callMessage(3, 'heard'))
    expect(at(await proxy.answerTo(3), 'error', 'message')).toMatch(/nothing listens there|closed the connection/)
  })

  test('over Streamable HTTP and back without its sessions: the client notices nothing', async () => {
    const port = await freePort()
    const first = await forThisTest(listening([sdkServerFile(), 'http', '--port', String(port)]))
    const proxy = await initialized(serveOnStdio({ upstream: `${first.origin}/mcp` }))
    first.signal('SIGKILL')
    await first.ended
    await forThisTest(listening([sdkServerFile(), 'http', '--port', String(port)]))
    proxy.send(callMessage(1, 'heard'))
    expect(returned(await proxy.answerTo(1))).toMatchObject({ notifications: [] })
  })

  test('that never was: every request is answered with why, and openmcp waits for it', async () => {
    const port = await freePort()
    const proxy = await forThisTest(serveOnStdio({ upstream: `http://127.0.0.1:${port}/mcp` }))
    await proxy.says(/warning: .*nothing listens there/)
    proxy.send(initializeMessage(1))
    expect(await proxy.answerTo(1)).toMatchObject({ error: { code: -32603, message: expect.stringContaining('nothing listens there') } })
    await forThisTest(listening([sdkServerFile(), 'http', '--port', String(port)]))
    proxy.send(initializeMessage(2))
    expect(await proxy.answerTo(2)).toMatchObject({ result: { serverInfo: { name: 'sdk-server' } } })
  })

  test('that never answers is given up after --timeout, and the client told', async () => {
    const sockets: Socket[] = []
    const mute = createServer((socket) => void sockets.push(socket.on('error', () => {})))
    await new Promise<void>((resolve) => {
      mute.listen(0, '127.0.0.1', resolve)
    })
    const address = mute.address()
    const port = typeof address === 'object' && address ? address.port : 0
    await forThisTest({
      async stop() {
        mute.close()
        for (const socket of sockets) socket.destroy()
      },
    })
    const proxy = await forThisTest(serveOnStdio({ upstream: `http://127.0.0.1:${port}/mcp`, options: ['--connect-timeout', '0.3', '--timeout', '0.3'] }))
    proxy.send(initializeMessage(1))
    expect(at(await proxy.answerTo(1), 'error', 'message')).toContain('within 0.3 s')
  })
})

describe('a signal', () => {
  test('ends openmcp in order: exit code 0, no child left', async () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      const proxy = await initialized(serveOnStdio({ command: scripted() }))
      proxy.send(callMessage(1, 'who'))
      const pid = Number(returned(await proxy.answerTo(1))['pid'])
      killAfterTest(pid)
      proxy.signal(signal)
      expect(await proxy.ended).toEqual({ code: 0, signal: null })
      await gone(pid)
    }
  })

  test('lets a call in flight finish', async () => {
    const proxy = await initialized(serveOnStdio({ command: scripted() }))
    proxy.send(callMessage(1, 'count', { marker: 'm', steps: 200 }, { progressToken: 'p' }))
    await until('the first step', () => proxy.messages().some(({ method }) => method === 'notifications/progress'))
    proxy.signal('SIGTERM')
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    expect(returned(await proxy.answerTo(1))).toEqual({ marker: 'm' })
  })
})
