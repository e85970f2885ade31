// `openmcp token did:…`: form a relationship by TSP with whoever gives tokens, and print the one that comes sealed.
import { OpenMcpError } from '../errors.ts'
import { listIdentities } from '../identity/own-identities.ts'
import { FIRST_TSP_NAME } from '../identity/tsp/first-name.ts'
import { ensureTspIdentity, openTspIdentity } from '../identity/tsp/own.ts'
import type { TspIdentity } from '../identity/tsp/piv.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { DpopKey } from '../login/dpop-key.ts'
import type { ObtainedToken } from '../login/token-endpoint.ts'
import { obtainTokenByTsp } from '../login/tsp-token.ts'
import { createLog } from '../observe/log.ts'
import type { Io } from './io.ts'
import { say } from './terminal.ts'

export interface TspTokenOptions {
  remote: Vid
  /** Directory of identities. */
  keys: string
  id: string | undefined
  listen: { host: string; port: number } | undefined
  scope: string | undefined
  enrolment: string | undefined
  seconds: number
  debug: boolean
  now: () => number
}

/** Fails as `obtainTokenByTsp` does. An interrupt closes what was begun, and then ends the process. */
export async function tokenByTsp({ keys, id, debug, now, ...asked }: TspTokenOptions, dpop: DpopKey, io: Io): Promise<{ token: ObtainedToken; vid: Vid }> {
  const own = await ownOf({ keys, id, remote: asked.remote, now }, io)
  const log = createLog({ level: debug ? 'debug' : 'error', format: 'text', write: (line) => void io.stderr.write(line), now })
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort(new OpenMcpError('stopping', 'interrupted, without a token'))
  process.once('SIGINT', interrupt)
  try {
    return { token: await obtainTokenByTsp({ ...asked, own, dpop, log, now, signal: interrupted.signal }), vid: own.vid }
  } finally {
    process.off('SIGINT', interrupt)
    // Everything is closed. To whoever waits for us we end by the signal.
    if (interrupted.signal.aborted) process.kill(process.pid, 'SIGINT')
  }
}

/** The identity that is named, else the only one for TSP that is not the one that is asked, else a first one. */
async function ownOf({ keys, id, remote, now }: Pick<TspTokenOptions, 'keys' | 'id' | 'remote' | 'now'>, io: Io): Promise<TspIdentity> {
  if (id !== undefined) return openTspIdentity(keys, id)
  const all = (await listIdentities(keys)).filter(({ endpoint }) => endpoint !== undefined)
  // On the machine of the node its own identity is one of them.
  const usable = all.filter(({ deactivated, vid }) => !deactivated && vid !== shortFormOf(remote))
  const [only, ...others] = usable
  if (only && others.length === 0) return openTspIdentity(keys, only.name)
  if (only) {
    throw new OpenMcpError('usage', `there are ${usable.length} identities for TSP, and none is named`, {
      hint: `--id ${usable.map(({ name }) => name).join(', or --id ')}`,
    })
  }
  if (all.length > 0) {
    throw new OpenMcpError('usage', 'there is no identity for TSP here that could ask', { hint: 'openmcp id create NAME --tsp makes one' })
  }
  const first = await ensureTspIdentity({ dir: keys, name: FIRST_TSP_NAME, now })
  say(io, `there was no identity for TSP yet; made ${FIRST_TSP_NAME}: ${first.vid}`)
  return first
}
