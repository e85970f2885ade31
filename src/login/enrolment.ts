// The link that a node prints while it trusts nobody: http://HOST/keys#enrol=SECRET. The secret stands in the fragment, which no
// browser sends anywhere.
import { OpenMcpError } from '../errors.ts'

export interface Enrolment {
  /** Whose secret it is: nobody else is told. */
  readonly origin: string
  readonly secret: string
}

/** Nothing of the text is repeated in a refusal: it may hold the secret. */
export function parseEnrolment(link: string, as = 'the enrolment link'): Enrolment {
  const url = link.length <= 2048 && URL.canParse(link) ? new URL(link) : undefined
  const secret = new URLSearchParams(url?.hash.slice(1)).get('enrol') ?? ''
  if (url && ['http:', 'https:'].includes(url.protocol) && /^[\w.~-]{16,512}$/.test(secret)) return { origin: url.origin, secret }
  throw new OpenMcpError('usage', `${as} is not an enrolment link`, {
    hint: "take all of the link that the node printed, in quotes: 'http://HOST/keys#enrol=…'",
  })
}
