// --forward-header: which headers of callers the remote server at the root gets as they are.
import { neverGoesOn } from '../config/forwarded-headers.ts'
import { OpenMcpError } from '../errors.ts'
import type { OpenMcpOptions } from '../openmcp.ts'
import { parseHeaderName } from './headers.ts'
import { allOf, type Reading } from './target-options.ts'

const MOST = 64

export function forwardsOf(reading: Reading, target: OpenMcpOptions['target']): Pick<OpenMcpOptions, 'forwardHeaders'> {
  const { mistakes } = reading
  const given = allOf(reading, 'forward-header')
  const [first] = given
  if (!first) return {}
  if (target && target.kind !== 'remote') {
    mistakes.add(new OpenMcpError('usage', `${first.as} is for requests of HTTP, and the upstream is no http://`, { hint: `drop ${first.as}` }))
  }
  if (allOf(reading, 'stateless').length > 0) {
    const hint = 'drop one of them'
    mistakes.add(new OpenMcpError('usage', `--stateless shares one session upstream, and ${first.as} is of one caller`, { hint }))
  }
  if (given.length > MOST) mistakes.add(new OpenMcpError('usage', `${first.as} is given more than ${MOST} times`))
  const names = given.slice(0, MOST).flatMap(({ as, value }) => mistakes.attempt(() => nameOf(value, as)) ?? [])
  const sent = target?.kind === 'remote' ? names.find((name) => Object.hasOwn(target.headers, name)) : undefined
  if (sent !== undefined) mistakes.add(new OpenMcpError('usage', `${first.as} names ${sent}, and a header of ours has that name`, { hint: 'drop one of them' }))
  return { forwardHeaders: [...new Set(names)] }
}

function nameOf(text: string, as: string): string {
  const name = parseHeaderName(text, as).toLowerCase()
  if (!neverGoesOn(name)) return name
  throw new OpenMcpError('usage', `${as} ${name}: that header is about us or about this connection, and never goes on`, {
    hint: '-H sends one of ours; openmcp help upstreams says how else we prove who we are',
  })
}
