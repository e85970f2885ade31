// The little that options ask of the machine: its environment and its files.
import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { OpenMcpError } from '../errors.ts'
import type { Io } from './io.ts'

const MAX_FILE_BYTES = 1024 * 1024

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
    readText: (path) => readFileSync(inCwd(path), 'utf8'),
    isDirectory: (path) => statSync(inCwd(path), { throwIfNoEntry: false })?.isDirectory() ?? false,
  }
}

/** The text of a file that an option names. */
export function textOf(machine: Machine, as: string, path: string): string {
  const text = read(machine, as, path)
  if (text.length > MAX_FILE_BYTES) throw new OpenMcpError('usage', `${as}: ${path} is larger than ${MAX_FILE_BYTES / 1024} KiB`)
  return text
}

function read(machine: Machine, as: string, path: string): string {
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
])

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
  return REASONS.get(code) ?? code
}
