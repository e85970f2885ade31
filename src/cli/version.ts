import { readFileSync } from 'node:fs'
import { isObject } from '../protocol/message.ts'

/** package.json as seen from the bundle (dist/) and from where this file is built or written (dist/cli/, src/cli/). */
const PLACES = ['../package.json', '../../package.json']
const NAME = '@decentralized-mcp/openmcp'

/** Our version, from the package we are part of. */
export function readVersion(): string {
  for (const place of PLACES) {
    const manifest = read(new URL(place, import.meta.url))
    if (isObject(manifest) && manifest['name'] === NAME && typeof manifest['version'] === 'string') return manifest['version']
  }
  return 'unknown'
}

function read(file: URL): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
