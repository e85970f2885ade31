// Why an address cannot be reached, in words: whoever waits for a message that does not leave has nothing else to go by.
import { OpenMcpError } from '../../errors.ts'

/** What is already in our words stays so: a refusal of the guard is none of the network. */
export function unreachable(address: URL, cause: unknown): OpenMcpError {
  if (cause instanceof OpenMcpError) return cause
  return unreachableFor(address, wordsOf(cause), cause)
}

export function unreachableFor({ host, protocol }: URL, why: string, cause?: unknown): OpenMcpError {
  const shown = host === '' ? `${protocol}//` : host
  return new OpenMcpError('upstream_unreachable', `${shown.length > 120 ? `${shown.slice(0, 119)}…` : shown} cannot be reached: ${why}`, { cause })
}

const WORDS = new Map([
  ['ECONNREFUSED', 'nobody listens there'],
  ['ENOTFOUND', 'its name is not known'],
  ['EAI_AGAIN', 'its name cannot be looked up now'],
  ['EHOSTUNREACH', 'there is no way to it'],
  ['ENETUNREACH', 'there is no way to it'],
  ['ECONNRESET', 'it broke the connection'],
  ['EPIPE', 'it broke the connection'],
])

function wordsOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
  if (/CERT|SIGNATURE|ISSUER/.test(code)) return `its certificate is not believed (${code})`
  if (/SSL|TLS|EPROTO/.test(code)) return `it does not speak TLS as it should (${code})`
  return WORDS.get(code) ?? (code === '' ? 'the connection failed' : code)
}
