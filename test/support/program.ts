// Programs as child processes: what they say line by line, how they end, and that none outlives its test.
import { spawn, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { until } from './until.ts'

export interface End {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Program {
  readonly pid: number
  /** Lines so far. */
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  /** Settles when it has ended and all it wrote was read. */
  readonly ended: Promise<End>
  readonly end: End | undefined
  write(text: string): void
  endInput(): void
  signal(name: NodeJS.Signals): void
  /** The first line on stderr that matches, now or later. Fails when the program ends without it. */
  says(pattern: RegExp): Promise<RegExpExecArray>
  /** Ends it, by force when asking does not help. */
  stop(): Promise<End>
}

export interface ProgramOptions {
  env?: Readonly<Record<string, string>>
  cwd?: string
}

const FIRST_MS = 500
const LAST_MS = 8000
const running = new Set<ChildProcess>()
// The last resort, when the test run itself ends.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function startProgram(command: string, args: readonly string[], { env = {}, cwd }: ProgramOptions = {}): Program {
  const child = spawn(command, args, { env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }), stdio: 'pipe' })
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.stdin.on('error', () => {})
  const stdout = linesOf(child.stdout)
  const stderr = linesOf(child.stderr)
  let end: End | undefined
  const ended = new Promise<End>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      end = { code, signal }
      resolve(end)
    })
  })
  ended.catch(() => {})
  return {
    pid: child.pid ?? 0,
    stdout,
    stderr,
    ended,
    get end() {
      return end
    },
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    signal: (name) => void child.kill(name),
    says(pattern) {
      return until(`${pattern} on stderr of ${command} ${args.join(' ')}`, () => {
        for (const line of stderr) {
          const match = pattern.exec(line)
          if (match) return match
        }
        if (end) throw new Error(`it ended (${JSON.stringify(end)}) before it said ${pattern}:\n${stderr.join('\n')}`)
        return undefined
      })
    },
    async stop() {
      if (!end) child.kill('SIGTERM')
      // openmcp takes a second one for: at once.
      const timers = [setTimeout(() => child.kill('SIGTERM'), FIRST_MS), setTimeout(() => child.kill('SIGKILL'), LAST_MS)]
      const last = await ended
      timers.forEach(clearTimeout)
      return last
    },
  }
}

/** Split at line feeds alone: to JSON, U+2028 and a carriage return are no line ends. */
function linesOf(stream: Readable): string[] {
  const lines: string[] = []
  let begun = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const pieces = (begun + text).split('\n')
    begun = pieces.pop() ?? ''
    lines.push(...pieces)
  })
  stream.once('end', () => {
    if (begun !== '') lines.push(begun)
  })
  return lines
}
