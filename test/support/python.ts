// A Python that has the official MCP package: a virtual environment of its own, made once and kept beside node_modules.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WayOut, WayOutName } from './servers.ts'
import { startProgram } from './program.ts'

const MCP_VERSION = '2.3.0'
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/openmcp-test', import.meta.url))
const HOME = join(CACHE, `python-mcp-${MCP_VERSION}`)
const SERVER = fileURLToPath(new URL('python-server.py', import.meta.url))

export interface Python {
  interpreter: string
  /** Why there is none. */
  missing?: string
}

/** Makes the environment when it is not there. Needs python3 with venv, and the package index once. */
export function findPython(): Python {
  const interpreter = join(HOME, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python3')
  const complete = join(HOME, 'complete')
  if (existsSync(complete)) return { interpreter }
  mkdirSync(CACHE, { recursive: true })
  rmSync(HOME, { recursive: true, force: true })
  const steps: [string, string[]][] = [
    ['python3', ['-m', 'venv', HOME]],
    [interpreter, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--timeout', '10', '--retries', '1', `mcp==${MCP_VERSION}`]],
  ]
  for (const [command, args] of steps) {
    const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000 })
    if (status === 0) continue
    const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? ''
    return { interpreter, missing: `${[command.split('/').at(-1), ...args.slice(0, 3)].join(' ')}: ${reason}` }
  }
  writeFileSync(complete, '')
  return { interpreter }
}

export async function pythonServer({ interpreter, missing }: Python, way: WayOutName): Promise<WayOut> {
  if (missing !== undefined) throw new Error(missing)
  if (way === 'stdio child') return { served: { command: [interpreter, SERVER, 'stdio'] }, stop: () => Promise.resolve() }
  const program = startProgram(interpreter, [SERVER, way === 'Streamable HTTP' ? 'http' : 'sse'], { env: { PYTHONUNBUFFERED: '1' } })
  try {
    const [, origin = ''] = await program.says(/running on (http:\/\/127\.0\.0\.1:\d+)/)
    return { served: { upstream: `${origin}${way === 'Streamable HTTP' ? '/mcp' : '/sse'}` }, stop: program.stop }
  } catch (error) {
    await program.stop()
    throw error
  }
}
