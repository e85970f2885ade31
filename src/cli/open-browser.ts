// The person's browser, opened where there is one to be seen. The only program that the command line starts: with one argument, an
// address of http or https, and never through a shell.
import { spawn } from 'node:child_process'
import type { Io } from './io.ts'

type Surroundings = Pick<Io, 'env' | 'platform'>

export interface BrowserCommand {
  readonly program: string
  readonly args: readonly string[]
}

/** What would open an address here; undefined where nobody would see a browser. BROWSER goes first: who sets it knows. */
export function browserFor(url: URL, { env, platform }: Surroundings): BrowserCommand | undefined {
  if (!['http:', 'https:'].includes(url.protocol)) return undefined
  const chosen = env['BROWSER']?.trim() ?? ''
  if (chosen === 'none') return undefined
  if (chosen !== '') return commandIn(chosen, url.href, platform)
  if (['CI', 'SSH_CONNECTION', 'SSH_CLIENT', 'SSH_TTY'].some((name) => isSet(env, name))) return undefined
  if (platform === 'darwin') return { program: '/usr/bin/open', args: [url.href] }
  if (platform === 'win32') {
    return { program: `${env['SystemRoot'] ?? 'C:\\Windows'}\\System32\\rundll32.exe`, args: ['url.dll,FileProtocolHandler', url.href] }
  }
  return isSet(env, 'DISPLAY') || isSet(env, 'WAYLAND_DISPLAY') ? { program: 'xdg-open', args: [url.href] } : undefined
}

/** False when it did not start. What it does then, and how it ends, is not waited for. */
export function openBrowser(url: URL, surroundings: Surroundings): Promise<boolean> {
  const command = browserFor(url, surroundings)
  if (!command) return Promise.resolve(false)
  return new Promise((resolve) => {
    const child = spawn(command.program, command.args, { shell: false, stdio: 'ignore', detached: true, windowsHide: true, env: outside(surroundings.env) })
    child.once('error', () => resolve(false))
    child.once('spawn', () => resolve(true))
    child.unref()
  })
}

/** A program with arguments, as a shell would split plain words; of several, between colons, the first. `%s` is the address. */
function commandIn(chosen: string, href: string, platform: NodeJS.Platform): BrowserCommand | undefined {
  const [first = ''] = platform === 'win32' ? [chosen] : chosen.split(':')
  // The path of a program may hold spaces on Windows; there it is all of the text.
  const [program = '', ...args] = platform === 'win32' ? [first] : first.split(/\s+/).filter((word) => word !== '')
  if (program === '') return undefined
  const isPlaced = args.some((arg) => arg.includes('%s'))
  return { program, args: isPlaced ? args.map((arg) => arg.replaceAll('%s', () => href)) : [...args, href] }
}

/** Our own settings hold keys, and are nothing to a browser. */
function outside(env: Surroundings['env']): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OPENMCP_')))
}

function isSet(env: Surroundings['env'], name: string): boolean {
  return (env[name] ?? '') !== ''
}
