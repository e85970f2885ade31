// What is tested end to end is the built program: it is built when a source is newer.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PROGRAM } from './openmcp.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export default function setup(): void {
  const builtMs = statSync(PROGRAM, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = [join(ROOT, 'build.mjs'), ...readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).map((file) => join(ROOT, 'src', file))]
  if (sources.every((file) => statSync(file).mtimeMs <= builtMs)) return
  const { status, stdout, stderr } = spawnSync('npm', ['run', 'build'], { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm run build failed:\n${stdout}\n${stderr}`)
}
