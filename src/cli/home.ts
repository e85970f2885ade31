// Where openmcp keeps what it keeps: keys and a store below one directory, each of which can be moved.
import { join } from 'node:path'
import { OpenMcpError } from '../errors.ts'
import type { RemoteTarget } from '../openmcp.ts'
import type { Machine } from './machine.ts'
import { oneOf, type Reading } from './target-options.ts'
import type { KeptLogins } from './upstream-login.ts'

type Home = Pick<Reading, 'args' | 'machine' | 'mistakes' | 'warnings'>

export function keysDirectory(reading: Home): string {
  return oneOf(reading, 'keys', (path) => reading.machine.resolve(path)) ?? join(reading.machine.home, 'keys')
}

/** `configured`: what a file says of it, and where. */
export function storeUrl(reading: Home, configured?: { text: string; as: string; beside(path: string): string }): string {
  const typed = oneOf(reading, 'store', (text, as) => parseStore(text, as, reading.machine))
  const filed = configured && reading.mistakes.attempt(() => parseStore(configured.text, configured.as, { resolve: configured.beside }))
  return typed ?? filed ?? `file:${join(reading.machine.home, 'store.db')}`
}

/** What people have logged in for (openmcp login). MCP_REMOTE_CONFIG_DIR is how mcp-remote and rmcp-proxy are told; OPENMCP_HOME goes first. */
export function loginsDirectory({ home, env, resolve }: Pick<Machine, 'home' | 'env' | 'resolve'>): string {
  const theirs = env['MCP_REMOTE_CONFIG_DIR'] ?? ''
  // A directory of our own below it: theirs is open to others as often as not.
  return (env['OPENMCP_HOME'] ?? '') === '' && theirs !== '' ? join(resolve(theirs), 'openmcp') : join(home, 'logins')
}

/** Where what people have logged in for is kept; undefined when a header says already who we are. */
export function keptLogins({ urls: [resource], headers }: RemoteTarget, machine: Machine): KeptLogins | undefined {
  return resource && !('authorization' in headers) ? { directory: loginsDirectory(machine), resource } : undefined
}

/** The store of a command that changes what a running proxy on the same store follows. */
export function sharedStoreUrl(reading: Home): string {
  const url = storeUrl(reading)
  if (url !== 'memory:') return url
  reading.mistakes.add(new OpenMcpError('usage', '--store memory: ends with the command, and nobody would see the change', { hint: '--store file:PATH' }))
  return url
}

function parseStore(text: string, as: string, machine: Pick<Machine, 'resolve'>): string {
  if (text === 'memory:') return text
  const hint = `${as} takes file:PATH or memory:`
  if (/^rediss?:/i.test(text)) throw new OpenMcpError('unavailable_option', `${as}: a Redis store is not built yet`, { hint })
  const path = /^file:([^?#]+)$/s.exec(text)?.[1]
  // A URL with slashes, and a path from the person's own directory, do not depend on where one stands.
  if (path !== undefined) return /^(?:\/\/|~\/)/.test(path) ? text : `file:${machine.resolve(path)}`
  // The text is not repeated: a URL may hold a password.
  throw new OpenMcpError('usage', `${as}: not the URL of a store`, { hint })
}
