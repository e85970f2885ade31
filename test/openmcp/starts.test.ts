// Many servers that start at once, and those that do not come up.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { at } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { scripted } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { ask, openSession } from '../support/wire.ts'
import { child, running } from './stage.ts'

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'starts-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** A shell that does this. A process of Node for each of a hundred would be a test of the machine. */
function shell(name: string, script: string): NamedServer {
  return { ...child(name), target: { kind: 'command', command: 'sh', args: ['-c', script], env: { PATH: process.env['PATH'] ?? '' } } }
}

const linesOf = (file: string): string[] => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [])

test.skipIf(process.platform === 'win32')(
  'a hundred servers come up, never more than eight of them at once, and one that says nothing holds up nobody',
  async () => {
    const diary = join(directory(), 'diary')
    writeFileSync(diary, '')
    const servers = Array.from({ length: 100 }, (_, number) =>
      // Whoever is up says so; a line is appended in one piece.
      shell(`s${number}`, number === 3 ? 'exec cat' : `echo + >> '${diary}'; sleep 0.02; echo - >> '${diary}'; echo up >&2; exec cat`),
    )
    const { status } = await running(servers)
    await until('all of them', () => linesOf(diary).filter((line) => line === '-').length === 99, 60_000)
    let now = 0
    const starting = linesOf(diary).map((line) => (line === '+' ? ++now : --now))
    expect(Math.max(...starting)).toBeLessThanOrEqual(8)
    const states = Object.values((await status())['server_instances'] ?? {})
    expect([states.length, states.filter((state) => state === 'idle').length]).toEqual([100, 100])
  },
  90_000,
)

test.skipIf(process.platform === 'win32')(
  'a server that ends at once is failed, with its reason, and is started again without being asked for; others are unharmed',
  async () => {
    const diary = join(directory(), 'diary')
    const [command, ...args] = scripted()
    const crashing = shell(
      'crashing',
      `echo x >> '${diary}'; [ $(wc -l < '${diary}') -ge 3 ] && exec '${command}' ${args.map((arg) => `'${arg}'`).join(' ')}; echo no database >&2; exit 7`,
    )
    const { at: path, status } = await running([crashing, child('well')])
    await until('its state', async () => at(await status(), 'server_instances', 'crashing') === 'failed')
    expect(at(await status(), 'server_failures', 'crashing')).toBe('the server crashing ended with exit code 7')
    const refused = await ask(path('/servers/crashing/mcp'), { body: initializeMessage(1) })
    expect([refused.status, refused.text]).toEqual([502, expect.stringContaining('ended with exit code 7')])
    expect(await (await openSession(path('/servers/well/mcp'))).call('echo', { a: 1 })).toEqual({ a: 1 })
    await until('the third start', () => linesOf(diary).length >= 3)
    const session = await openSession(path('/servers/crashing/mcp'))
    expect(await session.call('echo', { b: 2 })).toEqual({ b: 2 })
    expect(at(await status(), 'server_instances', 'crashing')).toBe('running')
  },
)
