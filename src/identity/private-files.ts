// Files that hold keys: ours alone, whole or not there, and never silently another.
import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { OpenMcpError } from '../errors.ts'

const BY_OTHERS = 0o077
const MAX_BYTES = 64 * 1024
const TEMPORARY = /^\.[^/]+\.[0-9a-f]{16}\.tmp$/
/** Older ones were left by a process that died while it wrote. */
const TEMPORARY_MS = 60_000

/** Makes the directory when it is not there. Fails with `keys_unsafe` when others can look into it. */
export async function makePrivateDirectory(path: string, platform: NodeJS.Platform): Promise<void> {
  await attempt(path, 'be made', () => mkdir(path, { recursive: true, mode: 0o700 }))
  await checkPrivateDirectory(path, platform)
}

export async function checkPrivateDirectory(path: string, platform: NodeJS.Platform): Promise<void> {
  const found = await attempt(path, 'be read', () => lstat(path))
  if (!found.isDirectory()) throw new OpenMcpError('keys_unsafe', `${path} is not a directory`, { hint: 'name the directory of the keys: --keys DIR' })
  refuseOthers(found, path, '700', platform)
}

/** Fails with `keys_unsafe` when others can read the file, when it is a link, or when it is not ours. */
export async function readPrivateFile(path: string, platform: NodeJS.Platform): Promise<string> {
  const file = await attempt(path, 'be read', () => open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)))
  try {
    const found = await file.stat()
    if (!found.isFile() || found.size > MAX_BYTES) throw new OpenMcpError('keys_unsafe', `${path} is not a file of openmcp`)
    refuseOthers(found, path, '600', platform)
    return await attempt(path, 'be read', () => file.readFile('utf8'))
  } finally {
    await file.close()
  }
}

/** False when there is a file of that name: of several that create, one gets true. It is on the disk when this settles. */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  return attempt(path, 'be written', () =>
    withTemporary(path, text, async (temporary) => {
      try {
        // Unlike rename, link takes no other file's place.
        await link(temporary, path)
        return true
      } catch (thrown) {
        if (codeOf(thrown) === 'EEXIST') return false
        throw thrown
      }
    }),
  )
}

export async function replacePrivateFile(path: string, text: string): Promise<void> {
  await attempt(path, 'be written', () => withTemporary(path, text, (temporary) => rename(temporary, path)))
}

/** Nothing when it is gone already. */
export async function removePrivateFile(path: string): Promise<void> {
  await attempt(path, 'be removed', async () => {
    await unlinkIfThere(path)
    await syncDirectory(dirname(path))
  })
}

/** A process that died while it wrote left a copy of a key behind. */
export async function removeLeftovers(directory: string, nowMs: number): Promise<void> {
  for (const name of await attempt(directory, 'be read', () => readdir(directory))) {
    if (!TEMPORARY.test(name)) continue
    const path = join(directory, name)
    const found = await lstat(path).catch(() => undefined)
    if (found?.isFile() && found.mtimeMs < nowMs - TEMPORARY_MS) await unlink(path).catch(() => {})
  }
}

async function withTemporary<T>(path: string, text: string, act: (temporary: string) => Promise<T>): Promise<T> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    return await act(temporary)
  } finally {
    await unlinkIfThere(temporary)
    await syncDirectory(dirname(path))
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw thrown
  }
}

/** So that the name is there after a power cut. Windows cannot open a directory, and needs no such thing. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => undefined)
  await directory?.sync().catch(() => {})
  await directory?.close()
}

function refuseOthers({ mode, uid }: Stats, path: string, wanted: string, platform: NodeJS.Platform): void {
  if (platform === 'win32') return
  if (uid !== process.getuid?.())
    throw new OpenMcpError('keys_unsafe', `${path} belongs to another user`, { hint: `chown ${String(process.getuid?.())} ${path}` })
  if (mode & BY_OTHERS) throw new OpenMcpError('keys_unsafe', `others have access to ${path}, where keys are`, { hint: `chmod ${wanted} ${path}` })
}

/** Errors of the file system name the path and hold nothing of the file. */
async function attempt<T>(path: string, what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (thrown) {
    if (thrown instanceof OpenMcpError) throw thrown
    const why = codeOf(thrown) === 'ELOOP' ? 'it is a symbolic link' : thrown instanceof Error ? thrown.message : String(thrown)
    throw new OpenMcpError('keys_unsafe', `${path} cannot ${what}: ${why}`, {
      hint: 'see who owns it and what is mounted there, or name another directory: --keys DIR',
      cause: thrown,
    })
  }
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
}
