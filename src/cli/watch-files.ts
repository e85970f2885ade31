// News of files, by looking: what editors, `mv`, containers and network disks do to a file differs, and its end is always the same.
import { statSync } from 'node:fs'
import { devNull } from 'node:os'

export interface Watch {
  /** From now on these. Those that were watched before are not taken for unchanged. */
  files(paths: readonly string[]): void
  stop(): void
}

/** A look costs microseconds; a change is to be applied within a second. */
const EVERY_MS = 100

/** Calls when a file has become another, is gone or is there again, and then was the same for one look: half of a file is none. */
export function watchFiles(onChange: () => void, everyMs = EVERY_MS): Watch {
  /** How each was when news of it were told last, and at the last look. */
  let told = new Map<string, string>()
  let last = new Map<string, string>()
  const timer = setInterval(() => {
    const now = new Map(Array.from(told.keys(), (path) => [path, markOf(path)]))
    const isStill = [...now].every(([path, mark]) => last.get(path) === mark)
    last = now
    if (!isStill || [...now].every(([path, mark]) => told.get(path) === mark)) return
    told = now
    onChange()
  }, everyMs)
  timer.unref()
  return {
    files(paths) {
      told = new Map(paths.map((path) => [path, told.get(path) ?? markOf(path)]))
    },
    stop: () => clearInterval(timer),
  }
}

/** A symbolic link stands for where it leads: that is what containers move. What cannot be looked at is a state like any other. */
function markOf(path: string): string {
  try {
    const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
    return stat ? `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}` : 'none'
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown'
  }
}

/** Whether reading it could wait for somebody who writes, and everybody with it. */
export function mayWait(path: string): boolean {
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat !== undefined && (stat.isFIFO() || (stat.isCharacterDevice() && path !== devNull))
  } catch {
    return false
  }
}
