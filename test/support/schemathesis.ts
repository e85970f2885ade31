// An independent tester, which calls all that a document tells of with what it allows and with what it does not.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { startProgram } from './program.ts'
import { findSchemathesis } from './python.ts'
import { until } from './until.ts'

const HOOKS = fileURLToPath(new URL('schemathesis-hooks.py', import.meta.url))

export const schemathesis = findSchemathesis()

const MINUTES_2 = 120_000

/** What it has to say of the document at this URL, and of what is behind it; empty: nothing. The same each time. */
export async function problemsBySchemathesis(
  url: string,
  { headers = {}, examples = 20, without = [] }: { headers?: Readonly<Record<string, string>>; examples?: number; without?: readonly string[] } = {},
): Promise<string> {
  const shown = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  // It keeps what it found beside where it is started.
  const cwd = await mkdtemp(join(tmpdir(), 'openmcp-schemathesis-'))
  const words = [
    'run',
    url,
    '--checks',
    'all',
    '--max-examples',
    String(examples),
    '--workers',
    '1',
    '--generation-deterministic',
    '--no-color',
    '--suppress-health-check',
    'all',
    ...without.flatMap((id) => ['--exclude-operation-id', id]),
    ...shown,
  ]
  const program = startProgram(join(dirname(schemathesis.interpreter), 'schemathesis'), words, { cwd, env: { SCHEMATHESIS_HOOKS: HOOKS } })
  try {
    const end = await until('the end of schemathesis', () => program.end, MINUTES_2)
    return end.code === 0 ? '' : [...program.stdout, ...program.stderr].join('\n')
  } finally {
    await program.stop()
    await rm(cwd, { recursive: true, force: true })
  }
}
