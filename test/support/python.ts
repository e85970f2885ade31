// Pythons that have what people run in that language: virtual environments of their own, made once and kept beside node_modules.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WayOut, WayOutName } from './servers.ts'
import { startProgram } from './program.ts'

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/openmcp-test', import.meta.url))
const SERVER = fileURLToPath(new URL('python-server.py', import.meta.url))
/** The official SDK, and a reference server on it. */
const SERVERS = ['mcp==2.3.0', 'mcp-server-time==2026.10.19']
/** The other proxy of this name lives on the SDK before that. */
const PROXY = ['mcp-proxy==0.12.0', 'mcp==1.30.0']
/** It names no versions of what it stands on, and does not start on what is newest: these are those of its own lock file. */
const MCPO = ['mcpo==0.0.20', 'mcp==1.17.0', 'fastapi==0.116.1', 'starlette==0.47.2', 'uvicorn==0.35.0', 'pydantic==2.11.7', 'anyio==4.9.0']
const SCHEMATHESIS = ['schemathesis==4.32.5']

export interface Python {
  interpreter: string
  /** Why there is none. */
  missing?: string
}

/** With servers on the official SDK. */
export function findPython(): Python {
  return pythonWith(SERVERS)
}

/** With sparfenyuk/mcp-proxy. */
export function findPythonProxy(): Python {
  return pythonWith(PROXY)
}

/** With the program of that name, which tries what a document says. */
export function findSchemathesis(): Python {
  return pythonWith(SCHEMATHESIS)
}

/** With open-webui/mcpo. */
export function findPythonMcpo(): Python {
  return pythonWith(MCPO)
}

/** Makes the environment when it is not there. Needs python3 with venv, and the package index once. */
function pythonWith(packages: readonly string[]): Python {
  const home = join(CACHE, `python-${packages.join('-').replaceAll('==', '-')}`)
  const interpreter = join(home, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python3')
  const complete = join(home, 'complete')
  if (existsSync(complete)) return { interpreter }
  mkdirSync(CACHE, { recursive: true })
  rmSync(home, { recursive: true, force: true })
  const steps: [string, string[]][] = [
    ['python3', ['-m', 'venv', home]],
    [interpreter, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--timeout', '10', '--retries', '1', ...packages]],
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
