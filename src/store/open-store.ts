// The only switch over kinds of stores.
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { OpenMcpError } from '../errors.ts'
import { createMemoryStore } from './memory.ts'
import type { Store } from './shapes.ts'
import { openSqlite } from './sqlite.ts'

export interface OpenStoreOptions {
  now: () => number
  /** What `~` stands for in `file:~/…`. */
  home?: string
}

/** `file:PATH` or `memory:`. Fails with `store_failed` when it cannot be opened, and with `usage` when it names no store. */
export async function openStore(url: string, { now, home = homedir() }: OpenStoreOptions): Promise<Store> {
  if (url === 'memory:') return createMemoryStore({ now })
  if (url.startsWith('file:')) return openSqlite(pathOf(url, home), { now })
  if (/^rediss?:/.test(url)) {
    throw new OpenMcpError('unavailable_option', 'a store in Redis is not built yet', { hint: '--store file:PATH, which processes on one machine share' })
  }
  // Not repeated in words: it may hold a password.
  throw new OpenMcpError('usage', 'a store is file:PATH or memory:', { hint: '--store file:/var/lib/openmcp/store.db' })
}

function pathOf(url: string, home: string): string {
  const path = url.slice('file:'.length)
  if (path === '' || path.includes('\0')) throw new OpenMcpError('usage', 'file: needs the path of a file', { hint: '--store file:/var/lib/openmcp/store.db' })
  if (path.startsWith('~/')) return resolve(home, path.slice(2))
  return path.startsWith('//') ? pathOfUrl(url) : resolve(path)
}

function pathOfUrl(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (thrown) {
    throw new OpenMcpError('usage', 'file:// must name a file of this machine: file:///PATH', { cause: thrown })
  }
}
