// The logins that are kept: a file each, ours alone, found by the address that they open.
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import {
  makePrivateDirectory,
  checkPrivateDirectory,
  readPrivateFile,
  removeLeftovers,
  removePrivateFile,
  replacePrivateFile,
} from '../identity/private-files.ts'
import { covers } from './covers.ts'
import { alone } from './lock.ts'
import { parseLogin, textOf, type Holder, type Login } from './login.ts'

export interface KeptLogin {
  readonly path: string
  readonly login: Login
}

export interface Logins {
  /** The one that opens this URL: of those for the address nearest to it, the newest. Fails with `keys_unsafe` when there is only what must not be read. */
  find(url: URL): Promise<KeptLogin | undefined>
  list(): Promise<{ kept: readonly KeptLogin[]; unreadable: readonly { path: string; error: OpenMcpError }[] }>
  /** In the place of an older one for the same address at the same issuer. */
  save(login: Login): Promise<void>
  remove(path: string): Promise<void>
  /** What is there now is changed by one process at a time: the login that is returned is kept. */
  renew(path: string, act: (login: Login | undefined) => Promise<Login>): Promise<Login>
}

const platform = process.platform
const MOST_CHARACTERS = 32 * 1024
const FILE = /^[\da-f]{64}\.json$/

export interface LoginsOptions {
  directory: string
  /** Whose they are: those of others are not read, wherever they come to lie. Undefined: those that are for all. `anybody`: for whoever ends them. */
  holder?: Holder | 'anybody' | undefined
  now: () => number
}

export function createLogins({ directory, holder, now }: LoginsOptions): Logins {
  const locked = <T>(path: string, act: () => Promise<T>): Promise<T> => alone(path.replace(/\.json$/, '.lock'), { now }, act)

  async function list(): Promise<Awaited<ReturnType<Logins['list']>>> {
    const kept: KeptLogin[] = []
    const unreadable: { path: string; error: OpenMcpError }[] = []
    for (const path of await pathsIn(directory)) {
      try {
        const login = await read(path, holder)
        if (login) kept.push({ path, login })
      } catch (thrown) {
        unreadable.push({ path, error: toOpenMcpError(thrown) })
      }
    }
    return { kept: kept.toSorted((one, other) => other.login.obtainedAtMs - one.login.obtainedAtMs), unreadable }
  }

  return {
    list,
    async find(url) {
      const { kept, unreadable } = await list()
      const fit = kept.filter(({ login }) => covers(login.address, url))
      const [best] = fit.toSorted((one, other) => other.login.address.length - one.login.address.length)
      const [unread] = unreadable
      // It may be the one that is wanted.
      if (!best && unread) throw unread.error
      return best
    },
    async save(login) {
      if (!isHeldBy(login, holder)) throw new OpenMcpError('internal', 'a login is kept where another’s are')
      await makePrivateDirectory(directory, platform)
      await removeLeftovers(directory, now())
      const path = join(directory, fileOf(login))
      await locked(path, () => write(path, login))
    },
    remove: (path) => locked(path, () => removePrivateFile(path)),
    renew: (path, act) =>
      locked(path, async () => {
        const before = await read(path, holder)
        const after = await act(before)
        if (after !== before) await write(path, after)
        return after
      }),
  }
}

/** Below the directory of all: one for each caller at each server. */
export function callersDirectory(directory: string): string {
  return join(directory, 'callers')
}

/** Those that there are, for the operator. */
export async function callersLogins({ directory, now }: Pick<LoginsOptions, 'directory' | 'now'>): Promise<Logins[]> {
  const callers = callersDirectory(directory)
  const found = await checkPrivateDirectory(callers, platform).then(() => readdir(callers), unlessMissing)
  const own = (found ?? []).filter((name) => /^[\da-f]{64}$/.test(name))
  return own.map((name) => createLogins({ directory: join(callers, name), holder: 'anybody', now }))
}

function fileOf({ address, issuer, holder }: Login): string {
  const whose = holder ? `\n${JSON.stringify([holder.server, holder.caller])}` : ''
  return `${createHash('sha256').update(`${address}\n${issuer}${whose}`).digest('hex')}.json`
}

function isHeldBy({ holder: one }: Login, other: LoginsOptions['holder']): boolean {
  if (other === 'anybody') return one !== undefined
  return one?.server === other?.server && one?.caller === other?.caller
}

async function pathsIn(directory: string): Promise<string[]> {
  const found = await checkPrivateDirectory(directory, platform).then(() => readdir(directory), unlessMissing)
  return (found ?? []).filter((name) => FILE.test(name)).map((name) => join(directory, name))
}

/** What is written can be read again. */
async function write(path: string, login: Login): Promise<void> {
  const text = textOf(login)
  if (text.length <= MOST_CHARACTERS && parseLogin(text)) return replacePrivateFile(path, text)
  throw new OpenMcpError('login_failed', `what ${login.issuer} gave cannot be kept`, { hint: 'it is too long, or holds what no token does' })
}

/** Undefined when there is none. Fails with `keys_unsafe` for a file that others can read, or that is not whole. */
async function read(path: string, holder: LoginsOptions['holder']): Promise<Login | undefined> {
  const text = await readPrivateFile(path, platform).catch(unlessMissing)
  if (text === undefined) return undefined
  const login = parseLogin(text)
  // A file that was carried to another place would open it.
  if (login && path.endsWith(fileOf(login)) && isHeldBy(login, holder)) return login
  throw new OpenMcpError('keys_unsafe', `${path} is not a login as openmcp writes it`, { hint: 'openmcp reset removes every login; then log in again' })
}

function unlessMissing(thrown: unknown): undefined {
  const cause = thrown instanceof Error ? thrown.cause : undefined
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
  throw thrown
}
