import type { Machine } from '../../src/cli/machine.ts'

/** A machine with just these files, directories and variables. */
export function machineWith({
  files = {},
  directories = [],
  env = {},
}: { files?: Record<string, string>; directories?: string[]; env?: Record<string, string> } = {}): Machine {
  return {
    env,
    platform: 'linux',
    home: '/home/ann/.openmcp',
    now: () => Date.UTC(2026, 0, 1),
    resolve: (path) => `/home/ann/${path}`,
    readText(path) {
      const text = files[path]
      if (text === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
      return text
    },
    isDirectory: (path) => directories.includes(path),
  }
}
