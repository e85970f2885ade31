// `openmcp config test`: every server of a file is asked who it is.
import { OpenMcpError, toOpenMcpError } from '../../errors.ts'
import type { ConfiguredServer } from '../configured-servers.ts'
import { allOf, oneOf } from '../target-options.ts'
import { find } from '../test.ts'
import { clean, print, warn } from '../terminal.ts'
import { parseSeconds } from '../values.ts'
import { USUAL_FILE, type Asked } from './asked.ts'
import { read } from './look.ts'

const DEFAULT_SECONDS = 30
/** As many at once as are started at once. */
const LANES = 8

/** A line each. Exit code 1 when one of them does not answer. */
export async function testServers({ reading, words: [file = USUAL_FILE], io }: Asked, now = (): number => performance.now()): Promise<number> {
  const seconds = oneOf(reading, 'timeout', (text, as) => parseSeconds(text, as, { from: 0.1 })) ?? DEFAULT_SECONDS
  reading.mistakes.throwIfAny()
  const { servers, warnings } = read(file, reading.machine)
  for (const warning of warnings) warn(io, warning)
  const asked = allOf(reading, 'server').map(({ value }) => value)
  const strange = asked.find((name) => !servers.some((server) => server.name === name))
  if (strange !== undefined) {
    throw new OpenMcpError('usage', `${file} has no server ${JSON.stringify(strange)} that is switched on`, {
      hint: 'openmcp config list says which there are',
    })
  }
  const wanted = asked.length === 0 ? [...servers] : servers.filter(({ name }) => asked.includes(name))
  const queue = wanted.values()
  let failed = 0

  async function lane(): Promise<void> {
    for (const { name, target, proof } of queue) {
      const told = await look({ name, target, proof })
      await print(io, `${name}\t${told}\n`)
    }
  }
  async function look({ target, proof }: Pick<ConfiguredServer, 'name' | 'target'> & { proof: ConfiguredServer['proof'] }): Promise<string> {
    try {
      const { server, protocol, counts, times } = await find({ target, proof, seconds }, reading.machine, io, now)
      const milliseconds = Math.round(times.connectMs + times.initializeMs + times.listMs)
      return `ok\t${clean(`${server.name} ${server.version}`).slice(0, 200)}\t${clean(protocol)}\t${counts.tools ?? 0} tools\t${milliseconds} ms`
    } catch (thrown) {
      failed++
      const { message, hint } = toOpenMcpError(thrown)
      return `failed\t${clean(message)}${hint === undefined ? '' : ` (${clean(hint)})`}`
    }
  }

  await Promise.all(Array.from({ length: LANES }, lane))
  return failed === 0 ? 0 : 1
}
