// The file of the embedded store: ours alone to write, and no way to another file.
import { closeSync, constants, lstatSync, mkdirSync, openSync, statSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'

import { OpenMcpError } from '../errors.ts'

const WRITABLE_BY_OTHERS = 0o022

/** Makes the file and its directory when they are not there; refuses a file that others can write, or put in its place. */
export function prepareStoreFile(path: string, platform: NodeJS.Platform = process.platform): void {
  const directory = dirname(path)
  attempt(path, () => mkdirSync(directory, { recursive: true, mode: 0o700 }))
  const at = attempt(path, () => statSync(directory))
  if (!at.isDirectory()) throw refused(`${directory} is not a directory`)
  refuseOthers(at, directory, '700', platform)
  attempt(path, () => createFile(path))
  // A file that is there is looked at and not opened: closing it would drop the locks that SQLite holds on it in this process.
  checkFile(path, platform)
}

/** Which file it is, by what the file system calls it; undefined when there is none. */
export function fileIdentity(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found && `${found.dev}:${found.ino}`
}

export function checkFile(path: string, platform: NodeJS.Platform = process.platform): void {
  const file = attempt(path, () => lstatSync(path))
  if (!file.isFile()) throw refused(`${path} is ${file.isSymbolicLink() ? 'a symbolic link' : 'not a file'}`)
  refuseOthers(file, path, '600', platform)
}

function createFile(path: string): void {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown
  }
}

function refuseOthers({ mode, uid }: Stats, path: string, wanted: string, platform: NodeJS.Platform): void {
  if (platform === 'win32') return
  if (mode & WRITABLE_BY_OTHERS) throw refused(`others can write ${path}, where the store is`, `chmod ${wanted} ${path}`)
  if (uid !== process.getuid?.()) throw refused(`${path} belongs to another user`, `chown it to the user that runs openmcp, or name another: --store file:PATH`)
}

function refused(message: string, hint = 'name another file: --store file:PATH'): OpenMcpError {
  return new OpenMcpError('store_failed', message, { hint })
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown)
    throw new OpenMcpError('store_failed', `the store ${path} cannot be opened: ${detail}`, { hint: 'name another file: --store file:PATH', cause: thrown })
  }
}
