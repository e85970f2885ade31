import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A directory of its own for what openmcp keeps; it ends with the test. */
export function ownHome(): { home: string; env: Record<string, string> } {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const home = join(directory, 'home')
  return { home, env: { OPENMCP_HOME: home, PATH: process.env['PATH'] ?? '' } }
}
