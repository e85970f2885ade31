// --endpoints, --fallback and --retry-…: several URLs that are one upstream.
import { OpenMcpError } from '../errors.ts'
import type { RetryEntry } from '../config/retry.ts'
import type { RemoteTarget } from '../openmcp.ts'
import { parseTarget } from '../protocol/target.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { parseCount } from './values.ts'

const MOST = 64
const ATTEMPTS = { from: 0, to: 100 }
const DELAY_MS = { from: 0, to: 60_000 }
/** What `run` does where neither is given. */
const DEFAULT_RETRY = { attempts: 3, delayMs: 250 }

/** The UPSTREAMs of --endpoints: with a comma between them, which a URL of a server has not. */
export function endpointsOf(reading: Reading): readonly (readonly URL[])[] {
  const [given] = allOf(reading, 'endpoints')
  if (!given) return []
  const texts = given.value.split(',').map((text) => text.trim())
  if (texts.length > MOST) reading.mistakes.add(new OpenMcpError('usage', `${given.as} takes at most ${MOST} upstreams`))
  return texts.slice(0, MOST).flatMap((text) => urlsOf(reading, text) ?? [])
}

/** Undefined where nothing is said of it. The first of several that says something counts. */
export function retryOf(...said: (Partial<RetryEntry> | undefined)[]): RemoteTarget['retry'] {
  const attempts = said.find((each) => each?.attempts !== undefined)?.attempts
  const delayMs = said.find((each) => each?.delayMs !== undefined)?.delayMs
  if (attempts === undefined && delayMs === undefined) return undefined
  return { attempts: attempts ?? DEFAULT_RETRY.attempts, delayMs: delayMs ?? DEFAULT_RETRY.delayMs }
}

export function severalOf(
  reading: Reading,
  endpoints: readonly (readonly URL[])[],
  configured?: RetryEntry,
): Pick<RemoteTarget, 'others' | 'fallbacks' | 'retry'> {
  const fallbacks = allOf(reading, 'fallback').flatMap(({ value }) => urlsOf(reading, value) ?? [])
  const attempts = oneOf(reading, 'retry-attempts', (text, as) => parseCount(text, as, ATTEMPTS))
  const delayMs = oneOf(reading, 'retry-delay', (text, as) => parseCount(text, as, DELAY_MS))
  const retry = retryOf({ attempts, delayMs }, configured)
  return {
    ...(endpoints.length > 1 && { others: endpoints.slice(1) }),
    ...(fallbacks.length > 0 && { fallbacks }),
    ...(retry && { retry }),
  }
}

/** In a list of one, because it may be none. */
function urlsOf({ mistakes }: Reading, text: string): readonly (readonly URL[])[] | undefined {
  return mistakes.attempt(() => [parseTarget(text)])
}
