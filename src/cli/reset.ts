// `openmcp reset [TARGET]`: logins are taken back at their issuer, if it can be reached, and forgotten here in any case.
import { OpenMcpError } from '../errors.ts'
import { covers } from '../login/covers.ts'
import { everyLogin } from '../login/every-login.ts'
import { shownUrl } from '../login/shown-url.ts'
import { takeBack } from '../login/take-back.ts'
import { parseTarget } from '../protocol/target.ts'
import type { Arguments } from './arguments.ts'
import { loginsDirectory } from './home.ts'
import type { Io } from './io.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { say, warn } from './terminal.ts'
import { issuerFetch } from './upstream-login.ts'
import { wayOf } from './way-options.ts'

const HOW = 'openmcp reset https://mcp.example.com/mcp, or openmcp reset for every login'

/** Without a word for every login there is, and for every file in their place that cannot be read. */
export async function reset(args: Arguments, io: Io): Promise<number> {
  const machine = machineOf(io)
  const mistakes = createMistakes(args.mistakes)
  const [word, second] = args.words
  if (second !== undefined) mistakes.add(new OpenMcpError('usage', `openmcp reset: one word too many: '${second}'`, { hint: HOW }))
  const [target] = (word === undefined ? undefined : mistakes.attempt(() => parseTarget(word))) ?? []
  const fetch = issuerFetch(wayOf({ args, machine, mistakes, warnings: [] }, target ? [target] : []))
  mistakes.throwIfAny()
  const { kept, unreadable } = await everyLogin({ directory: loginsDirectory(machine), now: machine.now })
  const meant = kept.filter(({ login }) => !target || covers(login.address, target))
  if (target && meant.length === 0) {
    for (const { error } of unreadable) warn(io, error.message)
    throw new OpenMcpError('not_found', `there is no login for ${shownUrl(target)}`, { hint: 'openmcp login --list says which there are' })
  }
  for (const { logins, login, path } of meant) {
    const { address, issuer, holder } = login
    const ended = await takeBack(login, { fetch })
    await logins.remove(path)
    say(io, `forgotten: the login ${holder ? `of ${holder.caller} ` : ''}for ${shownUrl(new URL(address))} at ${issuer}`)
    if (!ended.done) warn(io, `its tokens were not taken back: ${ended.why}`)
  }
  if (target) return 0
  for (const { logins, path } of unreadable) {
    await logins.remove(path)
    warn(io, `removed ${path}, which could not be read: what it held was not taken back`)
  }
  if (meant.length + unreadable.length === 0) say(io, 'there is no login to forget')
  return 0
}
