// A stdio server as a child process: started without a shell, in a group of its own, and ended with everything it started.
import type { ChildProcess } from 'node:child_process'
import spawn from 'cross-spawn'

import { OpenMcpError } from '../errors.ts'
import { printable, type Log } from '../observe/log.ts'
import type { Limits } from '../protocol/limits.ts'
import { createLineReader } from '../protocol/lines.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'

export interface ChildCommand {
  command: string
  args: readonly string[]
  /** All of the child's environment: nothing of ours is added. */
  env: Readonly<Record<string, string>>
  cwd?: string
}

/** A running child. `started` fails with `command_not_found`. */
export interface Child extends OpenedPipe {
  readonly pid: number | undefined
}

const live = new Set<() => void>()

/** The last resort when this process ends at once: every group that still runs is killed, without a wait. */
export function killAllChildren(): void {
  for (const kill of live) kill()
}

const STDERR_LINES_KEPT = 20
/** How long what an ended child has written is waited for. */
const LAST_WORDS_MS = 200
const STDERR_LINE_BYTES = 16 * 1024
/** What npx and uvx say while they fetch a program: it does not run yet. */
const OF_LAUNCHERS = /^\s*(?:npm |(?:Downloading|Building|Resolved|Prepared|Updating|Using) )/

export function startChild(what: ChildCommand, events: PipeEvents, { limits, log, name }: { limits: Limits; log: Log; name: string }): Child {
  const posix = process.platform !== 'win32'
  const child = spawn(what.command, [...what.args], {
    env: { ...what.env },
    ...(what.cwd === undefined ? {} : { cwd: what.cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, so that the whole chain (npx → sh → node) can be ended, and Ctrl-C reaches us alone.
    detached: posix,
    windowsHide: true,
  })
  const lastWords: string[] = []
  let over = false
  let graceMs = limits.stopSeconds * 1000
  let stopping: Promise<void> | undefined

  const kill = (signal: NodeJS.Signals): boolean => signalGroup(child, signal, posix)
  const killNow = (): void => void kill('SIGKILL')
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const started = new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => reject(notStarted(what.command, cause)))
  })
  started.then(
    () => live.add(killNow),
    (error: OpenMcpError) => end(error),
  )

  const end = (error: OpenMcpError): void => {
    if (over) return
    over = true
    events.ended(error)
  }
  // What it wrote last is still to be read; but 'close' may never come: a grandchild can hold the pipes open.
  child.once('exit', (code, signal) => {
    const tell = (): void => {
      clearTimeout(timer)
      stdout.end()
      end(new OpenMcpError('child_failed', `the server ${name} ended ${how(code, signal)}`, { ...lastWordsOf(lastWords), detail: `pid ${child.pid}` }))
      void stop()
    }
    const timer = setTimeout(tell, LAST_WORDS_MS)
    child.once('close', tell)
  })

  let wake = (): void => {}
  const awake = new Promise<void>((resolve) => (wake = resolve))
  child.once('exit', wake).once('error', wake)
  const stdout = createLineReader(limits.messageBytes, {
    line(bytes) {
      wake()
      if (!over) events.line(bytes)
    },
    tooLong: events.tooLong,
  })
  child.stdout?.on('data', (chunk: Buffer) => stdout.feed(chunk))
  const stderr = createLineReader(STDERR_LINE_BYTES, {
    line(bytes) {
      const words = bytes.toString()
      if (!OF_LAUNCHERS.test(words)) wake()
      lastWords.push(words)
      if (lastWords.length > STDERR_LINES_KEPT) lastWords.shift()
      log.info(`[${name} ${child.pid}] ${words}`)
    },
    tooLong: (head) => log.info(`[${name} ${child.pid}] ${head.toString()} … (a line too long to show)`),
  })
  child.stderr?.on('data', (chunk: Buffer) => stderr.feed(chunk))
  child.stderr?.on('end', () => stderr.end())
  /** A server that hears or says nothing any more is gone, though its process may go on; mostly 'exit' follows at once. */
  const cutOff = (pipe: 'stdin' | 'stdout') => (): void => {
    const timer = setTimeout(() => {
      end(new OpenMcpError('child_failed', `the server ${name} closed its ${pipe}`, lastWordsOf(lastWords)))
      void stop()
    }, LAST_WORDS_MS)
    child.once('exit', () => clearTimeout(timer))
  }
  child.stdin?.once('error', cutOff('stdin'))
  child.stdout?.once('end', cutOff('stdout'))
  // A write that comes too late is no news.
  child.stdin?.on('error', () => {})
  child.stdout?.on('error', () => {})
  child.stderr?.on('error', () => {})

  let queue = ''
  const flush = (): void => {
    const text = queue
    queue = ''
    if (!over) child.stdin?.write(text)
  }

  function stop(graceSeconds = Infinity): Promise<void> {
    graceMs = Math.min(graceMs, graceSeconds * 1000)
    stopping ??= stopInOrder()
    return stopping
  }
  /** stdin EOF, SIGTERM, SIGKILL, each with its wait; then the same for what the server left running in its group. */
  async function stopInOrder(): Promise<void> {
    const waitMs = (): number => graceMs
    const gone = (): boolean => child.pid === undefined || !signalGroup(child, 0, posix)
    if (queue !== '') flush()
    child.stdin?.end()
    if (!(await within(exited, waitMs, gone))) {
      kill('SIGTERM')
      if (!(await within(exited, waitMs, gone))) kill('SIGKILL')
      await within(exited, waitMs, gone)
    }
    live.delete(killNow)
    await Promise.race([exited, pause(LAST_WORDS_MS)])
    child.stdout?.destroy()
    child.stderr?.destroy()
    log.debug('child stopped', { name, pid: child.pid })
  }

  return {
    pid: child.pid,
    started,
    awake,
    send(line) {
      if (queue === '') setImmediate(flush)
      queue += `${line}\n`
    },
    get bufferedBytes() {
      return (child.stdin?.writableLength ?? 0) + queue.length
    },
    close: stop,
  }
}

/** Ends early once nobody of the group is left: the leader's exit is not enough, and 'close' may never come. */
async function within(exited: Promise<void>, waitMs: () => number, gone: () => boolean): Promise<boolean> {
  const beganMs = Date.now()
  let closed = false
  void exited.then(() => (closed = true))
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    await Promise.race([exited, pause(pauseMs)])
    if (gone()) return true
    if (Date.now() - beganMs >= waitMs()) return false
    if (closed) await pause(pauseMs)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0, posix: boolean): boolean {
  if (child.pid === undefined) return false
  if (!posix) {
    if (child.exitCode !== null || child.signalCode !== null) return false
    if (signal !== 0) spawn.sync('taskkill', ['/pid', String(child.pid), '/T', '/F'], { windowsHide: true })
    return true
  }
  try {
    return process.kill(-child.pid, signal)
  } catch (error) {
    // ESRCH: nobody is left. EPERM: somebody is, under another user; we cannot end it and say so by going on waiting.
    return (error as NodeJS.ErrnoException).code === 'EPERM' // kill(2) throws nothing else than errno errors
  }
}

function notStarted(command: string, cause: Error): OpenMcpError {
  const code = (cause as NodeJS.ErrnoException).code // what spawn emits is always an errno error
  if (code === 'ENOENT') {
    return new OpenMcpError('command_not_found', `command not found: ${printable(command)}`, {
      hint: 'is it installed and on PATH? A working directory that does not exist says the same',
      cause,
    })
  }
  if (code === 'EACCES')
    return new OpenMcpError('command_not_found', `not executable: ${printable(command)}`, { hint: 'name the program, then its arguments', cause })
  return new OpenMcpError('child_failed', `could not start ${printable(command)}: ${code ?? cause.message}`, { cause })
}

function how(code: number | null, signal: string | null): string {
  return signal === null ? `with exit code ${code}` : `on ${signal}`
}

function lastWordsOf(lines: readonly string[]): { hint?: string } {
  const words = lines.slice(-5).map((line) => printable(line).slice(0, 300))
  return words.length === 0 ? {} : { hint: `its last words: ${words.join(' | ')}` }
}
