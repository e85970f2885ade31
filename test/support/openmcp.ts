// openmcp as people run it: the built program, a child process, a command line.
import { fileURLToPath } from 'node:url'
import { at, jsonOf, type Json } from './json.ts'
import { startProgram, type End, type Program, type ProgramOptions } from './program.ts'
import { until } from './until.ts'

export const PROGRAM = fileURLToPath(new URL('../../dist/openmcp.mjs', import.meta.url))

export interface Served extends ProgramOptions {
  /** Where to listen, when not on loopback. */
  host?: string
  /** Options of `run` that come before what is served. */
  options?: readonly string[]
  /** What is served: a URL, or a command. */
  upstream?: string
  command?: readonly string[]
}

export interface Proxy extends Program {
  /** Where it serves Streamable HTTP. */
  readonly url: URL
  at(path: string): URL
}

/** `openmcp run -p 0`, listening. */
export function serve({ host, options = [], upstream, command, ...surroundings }: Served): Promise<Proxy> {
  const published = [host, '0', upstream].filter((part) => part !== undefined).join(':')
  return listening(['run', ...options, '-p', published, ...commandLine(command)], surroundings)
}

/** What is typed, listening. */
export async function listening(words: readonly string[], surroundings: ProgramOptions = {}): Promise<Proxy> {
  const program = startProgram(process.execPath, [PROGRAM, ...words], surroundings)
  try {
    const [, href = ''] = await program.says(/listening on (https?:\S+)/)
    const url = new URL(href)
    // Not spread: what it has said and how it ended are asked for later.
    return Object.assign(program, { url, at: (path: string) => new URL(path, url) })
  } catch (error) {
    await program.stop()
    throw error
  }
}

export interface StdioProxy extends Program {
  send(message: Json | Json[]): void
  /** The answer to a request, now or later. */
  answerTo(id: string | number): Promise<Json>
  /** Everything on stdout so far. Throws when a line of it is not JSON. */
  messages(): Json[]
}

/** `openmcp run` without a port: on our own stdin and stdout. */
export function serveOnStdio({ options = [], upstream, command, ...surroundings }: Served): StdioProxy {
  const published = upstream === undefined ? [] : ['-p', upstream]
  return onStdio(['run', ...options, ...published, ...commandLine(command)], surroundings)
}

/** What is typed, on our own stdin and stdout. */
export function onStdio(words: readonly string[], surroundings: ProgramOptions = {}): StdioProxy {
  const program = startProgram(process.execPath, [PROGRAM, ...words], surroundings)
  const messages = (): Json[] => program.stdout.flatMap((line) => [JSON.parse(line)].flat()).map(jsonOf)
  return Object.assign(program, {
    send: (message: Json | Json[]) => program.write(`${JSON.stringify(message)}\n`),
    messages,
    answerTo: (id: string | number) =>
      until(`an answer to ${id}`, () => {
        const answer = messages().find((message) => message['id'] === id && message['method'] === undefined)
        if (!answer && program.end) throw new Error(`it ended (${JSON.stringify(program.end)}) without an answer to ${id}:\n${program.stderr.join('\n')}`)
        return answer
      }),
  })
}

/** What is typed, run to its end. */
export async function typed(
  args: readonly string[],
  { input = '', ...surroundings }: ProgramOptions & { input?: string } = {},
): Promise<End & { stdout: string; stderr: string }> {
  const program = startProgram(process.execPath, [PROGRAM, ...args], surroundings)
  program.write(input)
  program.endInput()
  const end = await program.ended
  return { ...end, stdout: program.stdout.join('\n'), stderr: program.stderr.join('\n') }
}

export function initializeMessage(id: string | number, protocolVersion = '2025-11-25', capabilities: Json = {}): Json {
  return { jsonrpc: '2.0', id, method: 'initialize', params: { protocolVersion, capabilities, clientInfo: { name: 'test', version: '1' } } }
}

export const INITIALIZED: Json = { jsonrpc: '2.0', method: 'notifications/initialized' }

export function callMessage(id: string | number, name: string, args: Json = {}, meta?: Json): Json {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) } }
}

/** What a tool of ours returned; throws on an error. */
export function returned(answer: Json): Json {
  if (answer['error'] !== undefined) throw new Error(`an error: ${JSON.stringify(answer['error'])}`)
  return jsonOf(at(answer, 'result', 'structuredContent'))
}

function commandLine(command: readonly string[] | undefined): string[] {
  return command === undefined ? [] : ['--', ...command]
}
