// The programs around what others wrote that the interoperability tests of TSP talk to: given with `--driver PATH`, or built in a folder of
// their own.
import { spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Where the program is. Where there is no cargo, or no crates for it, that is said, and the process ends well: what others wrote cannot
 * be had everywhere. That it cannot be built of what is there is a failure.
 */
export function driverPath({ folder, name, source = 'tsp-driver', what = 'the Rust SDK of TSP', features = [] }) {
  const at = process.argv.indexOf('--driver')
  if (at > 0) return process.argv[at + 1]
  cpSync(fileURLToPath(new URL(`../${source}`, import.meta.url)), folder, { recursive: true })
  const cargo = (stdio, ...args) => spawnSync('cargo', args, { cwd: folder, stdio })
  if (cargo('ignore', '--version').status !== 0) skip(what, 'there is no cargo')
  const fetched = cargo(['ignore', 'ignore', 'pipe'], 'fetch', '--locked')
  if (fetched.status !== 0) skip(what, `its crates cannot be had: ${fetched.stderr.toString().trim().split('\n').at(-1)?.trim()}`)
  const target = join(folder, 'target')
  const chosen = features.length > 0 ? ['--features', features.join(',')] : []
  const built = cargo(
    ['ignore', 'inherit', 'inherit'],
    'build',
    '--release',
    '--offline',
    '--locked',
    '--quiet',
    '--target-dir',
    target,
    '--bin',
    name,
    ...chosen,
  )
  if (built.status !== 0) throw new Error(`the driver of ${what} could not be built`)
  return join(target, 'release', name)
}

function skip(what, why) {
  process.stdout.write(`skipped: ${what}: ${why}\n`)
  process.exit(0)
}
