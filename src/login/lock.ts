// One at a time, whichever process: a refresh token that rotates must not be shown twice.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

import { OpenMcpError } from '../errors.ts'
import { membersOf } from '../identity/json.ts'
import { createPrivateFile, readPrivateFile, removePrivateFile } from '../identity/private-files.ts'
import { jsonIn } from '../protocol/json.ts'

export interface LockOptions {
  now: () => number
  /** How long the one before is waited for. */
  waitMs?: number
}

/** What is done under a lock ends within the bounds of a login: who holds one for longer was stopped in the middle of it. */
const STALE_MS = 120_000
const WAIT_MS = 45_000
const EVERY_MS = 25

interface Holder {
  id: string
  host: string
  pid: number
  sinceMs: number
}

/** Fails with `login_failed` when another process does not come to its end. */
export async function alone<T>(path: string, { now, waitMs = WAIT_MS }: LockOptions, act: () => Promise<T>): Promise<T> {
  const holder: Holder = { id: randomUUID(), host: hostname(), pid: process.pid, sinceMs: now() }
  const text = JSON.stringify(holder)
  let tries = Math.ceil(waitMs / EVERY_MS)
  while ((await holderIn(path)) || !(await createPrivateFile(path, text))) {
    if (tries-- <= 0) {
      throw new OpenMcpError('login_failed', 'another openmcp is renewing the same login, and does not come to an end', {
        hint: `if none is running, remove ${path}`,
      })
    }
    await breakStale(path, now)
    await sleep(EVERY_MS)
  }
  try {
    return await act()
  } finally {
    if ((await holderIn(path))?.id === holder.id) await removePrivateFile(path)
  }
}

/** Only one of those that see it is over takes it away, so that nobody takes away what came after it. */
async function breakStale(path: string, now: () => number): Promise<void> {
  const seen = await holderIn(path)
  if (!seen || !isOver(seen, now)) return
  const breaking = `${path}.${seen.id}`
  if (!(await createPrivateFile(breaking, ''))) return
  try {
    if ((await holderIn(path))?.id === seen.id) await removePrivateFile(path)
  } finally {
    await removePrivateFile(breaking)
  }
}

function isOver({ host, pid, sinceMs }: Holder, now: () => number): boolean {
  return now() > sinceMs + STALE_MS || (host === hostname() && !isRunning(pid))
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM'
  }
}

/** Undefined when nobody holds it. Of what is not ours to read, somebody does, and it is told so by who tries to write. */
async function holderIn(path: string): Promise<Holder | undefined> {
  const text = await readPrivateFile(path, process.platform).catch(() => undefined)
  if (text === undefined) return undefined
  const members = membersOf(jsonIn(text))
  const [id, host, pid, sinceMs] = [members?.get('id'), members?.get('host'), members?.get('pid'), members?.get('sinceMs')]
  const known = typeof id === 'string' && /^[\da-f-]{36}$/.test(id) && typeof host === 'string' && typeof pid === 'number' && typeof sinceMs === 'number'
  return known && Number.isSafeInteger(pid) && pid > 0 ? { id, host, pid, sinceMs } : undefined
}
