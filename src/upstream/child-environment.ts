// The environment of a child: what a program needs to run at all, and what was asked for. Nothing else of ours.

const POSIX = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER', 'LANG', 'TZ', 'TMPDIR']
const WINDOWS = [
  'APPDATA',
  'HOMEDRIVE',
  'HOMEPATH',
  'LOCALAPPDATA',
  'PATH',
  'PATHEXT',
  'PROCESSOR_ARCHITECTURE',
  'PROGRAMFILES',
  'SYSTEMDRIVE',
  'SYSTEMROOT',
  'TEMP',
  'USERNAME',
  'USERPROFILE',
]

export interface ChildEnvironmentOptions {
  /** Our own environment. */
  env: Readonly<Record<string, string | undefined>>
  platform: NodeJS.Platform
  /** Names to hand on from ours. One that is not set is left out. */
  pass: readonly string[]
  /** From files and the command line, in the order given: the later wins. */
  set: readonly (readonly [name: string, value: string])[]
}

/** All of the child's environment: the least it needs, then what is passed on, then what is set. */
export function childEnvironment({ env, platform, pass, set }: ChildEnvironmentOptions): Record<string, string> {
  // Windows: Path and PATH are one variable, and a child with both sees either.
  const key = platform === 'win32' ? (name: string) => name.toUpperCase() : (name: string) => name
  const own = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const passed = new Set(pass.map(key))
  const child = new Map<string, readonly [string, string]>()
  // A value that starts with () is a function an old shell exported: code, not a setting.
  for (const [name, value] of own) if (isInherited(key(name), platform) && !value.startsWith('()')) child.set(key(name), [name, value])
  for (const [name, value] of own) if (passed.has(key(name))) child.set(key(name), [name, value])
  for (const [name, value] of set) child.set(key(name), [name, value])
  return Object.fromEntries(child.values())
}

/** Whether a name is set in an environment, the way its platform compares names. */
export function isSet(name: string, env: Readonly<Record<string, string | undefined>>, platform: NodeJS.Platform): boolean {
  if (platform !== 'win32') return env[name] !== undefined
  return Object.keys(env).some((other) => other.toUpperCase() === name.toUpperCase())
}

function isInherited(name: string, platform: NodeJS.Platform): boolean {
  return platform === 'win32' ? WINDOWS.includes(name) : POSIX.includes(name) || name.startsWith('LC_')
}
