// JSON Pointers as fragments of URIs (RFC 6901 §6).

/** Halves of pairs of surrogates. */
const HALVES = /\p{Cs}/u

/** Undefined: it is none. Half a character is none of a URI. */
export function stepsIn(fragment: string): string[] | undefined {
  if (fragment === '') return []
  if (!fragment.startsWith('/') || !isWritable(fragment)) return undefined
  const steps = fragment.slice(1).split('/')
  if (!fragment.includes('~') && !fragment.includes('%')) return steps
  try {
    return decodeURIComponent(fragment)
      .slice(1)
      .split('/')
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  } catch {
    return undefined
  }
}

/** What half a character is in the name of cannot be written. */
export function isWritable(step: string): boolean {
  return !HALVES.test(step)
}

/** Of steps that can be written. */
export function fragmentOf(steps: readonly string[]): string {
  let fragment = ''
  for (const step of steps) fragment += `/${PLAIN.test(step) ? step : encoded(step)}`
  return fragment
}

/** Of such a step the name and the way it is written are one. */
const PLAIN = /^[\w$.-]+$/

function encoded(step: string): string {
  return encodeURI(step.replaceAll('~', '~0').replaceAll('/', '~1')).replaceAll('#', '%23').replaceAll('?', '%3F')
}

/** What is there, of own members alone. */
export function memberOf(holder: unknown, step: string): unknown {
  if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, step)) return undefined
  return Reflect.get(holder, step) as unknown // of JSON nothing is known
}
