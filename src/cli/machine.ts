// The little that options ask of the machine: its environment and its files.
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Filling } from '../config/fill.ts'
import { OpenMcpError } from '../errors.ts'
import type { Io } from './io.ts'

const MAX_FILE_BYTES = 1024 * 1024
const PART_BYTES = 64 * 1024

export interface Machine {
  env: Readonly<Record<string, string | undefined>>
  platform: NodeJS.Platform
  /** The directory of what openmcp keeps: OPENMCP_HOME, or `.openmcp` in the person's own. */
  home: string
  now(): number
  /** A path as the person means it: seen from where they stand. */
  resolve(path: string): string
  /** Throws as node:fs does. */
  readText(path: string): string
  isDirectory(path: string): boolean
}

export function machineOf({ env, platform, cwd }: Io): Machine {
  const inCwd = (path: string) => resolve(cwd, path)
  return {
    env,
    platform,
    home: env['OPENMCP_HOME'] ? inCwd(env['OPENMCP_HOME']) : join(homedir(), '.openmcp'),
    now: Date.now,
    resolve: inCwd,
    readText: (path) => readUtf8(inCwd(path)),
    isDirectory: (path) => statSync(inCwd(path), { throwIfNoEntry: false })?.isDirectory() ?? false,
  }
}

/** Paths that a file names are seen from its own directory, wherever somebody stands who starts us. */
export function besideFile(machine: Pick<Machine, 'resolve'>, file: string): (path: string) => string {
  return (path) => resolve(dirname(machine.resolve(file)), path)
}

/** What the texts of a configuration are filled in with: our environment, and files beside it. */
export function fillingOf(machine: Machine, file: string): Filling {
  const beside = besideFile(machine, file)
  return { env: machine.env, readText: (path) => machine.readText(beside(path)) }
}

/** No more of it than can be of use, whatever it is: a disk, or a pipe without an end. */
function readUtf8(path: string): string {
  const file = openSync(path, 'r')
  try {
    const parts: Buffer[] = []
    let size = 0
    while (size <= MAX_FILE_BYTES) {
      const part = Buffer.allocUnsafe(PART_BYTES)
      const read = readSync(file, part)
      if (read === 0) break
      parts.push(part.subarray(0, read))
      size += read
    }
    const bytes = Buffer.concat(parts)
    // What is not read to its end is refused for its size, and may end in the middle of a letter.
    return size > MAX_FILE_BYTES ? bytes.toString('latin1') : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } finally {
    closeSync(file)
  }
}

/** The text of a file that an option names. */
export function textOf(machine: Machine, as: string, path: string): string {
  const text = contentsOf(machine, as, path)
  if (text.length > MAX_FILE_BYTES) throw new OpenMcpError('usage', `${as}: ${path} is larger than ${MAX_FILE_BYTES / 1024} KiB`)
  return text
}

function contentsOf(machine: Machine, as: string, path: string): string {
  try {
    return machine.readText(path)
  } catch (cause) {
    throw new OpenMcpError('usage', `${as}: cannot read ${path}: ${reasonOf(cause)}`, { cause })
  }
}

const REASONS = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a directory'],
  ['ERR_ENCODING_INVALID_ENCODED_DATA', 'it is not UTF-8 text'],
])

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
  return REASONS.get(code) ?? code
}
