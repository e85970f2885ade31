// Peers from PyPI: a virtual environment of their own, made once and kept beside those from npm.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** mcpo names no versions of what it stands on, and does not start on what is newest: these are those of its own lock file. */
const PACKAGES = ['mcpo==0.0.20', 'mcp==1.17.0', 'fastapi==0.116.1', 'starlette==0.47.2', 'uvicorn==0.35.0', 'pydantic==2.11.7', 'anyio==4.9.0']
const HOME = fileURLToPath(new URL('../node_modules/.python', import.meta.url))
const COMPLETE = path.join(HOME, 'complete')

export const PYTHON_BIN = path.join(HOME, 'bin')
export const hasPythonPeers = () => fs.existsSync(COMPLETE)

/** Needs python3 with venv, and the package index once. Whether it went well. */
export function installPythonPeers() {
  fs.rmSync(HOME, { recursive: true, force: true })
  const run = (command, ...args) => spawnSync(command, args, { stdio: ['ignore', 2, 2], timeout: 180_000 }).status === 0
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
  if (!run('python3', '-m', 'venv', HOME) || !run(path.join(PYTHON_BIN, 'python3'), ...pip, ...PACKAGES)) return false
  fs.writeFileSync(COMPLETE, '')
  return true
}
