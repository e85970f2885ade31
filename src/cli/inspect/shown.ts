// What was found out about a server: for people, and for programs.
import type { OpenMcpError } from '../../errors.ts'
import { isModernVersion } from '../../protocol/revision.ts'
import { clean } from '../terminal.ts'
import type { Asks } from './asks.ts'
import type { Found } from './found.ts'

/** A line for each thing. A server says who it is: its words are cut and cleaned like any stranger's. */
export function shown(found: Found): string {
  const { server, counts, times, authentication } = found
  return linesOf([
    ['server', `${server.name} ${server.version}`],
    ['transport', found.transport],
    ['protocol', found.protocol],
    ['revisions', found.revisions.join(', ')],
    ['era', eraOf(found)],
    ...(authentication === undefined ? [] : [['authentication', AUTHENTICATION[authentication]] as const]),
    ['capabilities', capabilitiesOf(found)],
    ['tools', countOf(counts.tools)],
    ['resources', countOf(counts.resources)],
    ['resource templates', countOf(counts.resourceTemplates)],
    ['prompts', countOf(counts.prompts)],
    ['times', `connect ${ms(times.connectMs)}, initialize ${ms(times.initializeMs)}, list ${ms(times.listMs)}`],
  ])
}

export function shownAsks({ issuer, resource, scopes, waysIn = [], why }: Asks): string {
  const lines: (readonly [string, string | undefined])[] = [
    ['authentication', 'needed'],
    ['issuer', issuer ?? `not known: ${why ?? 'it is not said'}`],
    ['resource', resource],
    ['scopes', scopes],
    ['ways in', issuer === undefined ? undefined : waysIn.length === 0 ? 'none that it tells' : waysIn.join(', ')],
  ]
  return linesOf(lines.flatMap(([label, text]) => (text === undefined ? [] : [[label, text] as const])))
}

export function asJson(found: Found): string {
  return jsonOf({ ok: true, ...found, era: eraOf(found) })
}

export function failureAsJson({ code, message, hint }: OpenMcpError, asks: Asks | undefined): string {
  return jsonOf({ ok: false, error: { code, message: clean(message), ...(hint !== undefined && { hint: clean(hint) }) }, ...(asks && { asks }) })
}

function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

const AUTHENTICATION = { none: 'none was asked for', given: 'asked for, and given', header: 'a header of ours was sent' }

/** Requests that stand alone (2026-07-28), sessions that begin with a handshake (before it), or both. */
function eraOf({ revisions }: Found): string {
  const eras = [revisions.some((one) => !isModernVersion(one)) && 'legacy', revisions.some(isModernVersion) && 'modern']
  return eras.filter((era) => era !== false).join(' and ')
}

function linesOf(lines: readonly (readonly [label: string, text: string])[]): string {
  return lines.map(([label, text]) => `${label}: ${clean(text).slice(0, 500)}\n`).join('')
}

function capabilitiesOf({ capabilities }: Found): string {
  const names = Object.entries(capabilities).map(([name, value]) => {
    const parts = Object.entries(typeof value === 'object' && value !== null ? value : {}).flatMap(([part, on]) => (on === false ? [] : part))
    return parts.length === 0 ? name : `${name} (${parts.join(', ')})`
  })
  return names.length === 0 ? 'none' : names.toSorted().join(', ')
}

function countOf(count: number | undefined): string {
  return count === undefined ? 'none' : String(count)
}

function ms(milliseconds: number): string {
  return `${Math.round(milliseconds)} ms`
}
