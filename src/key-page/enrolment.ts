// The secret of an enrolment link: in memory alone, and until it is used.
const SECRET = /^[\w-]{43}$/

/** The fragment is not sent to anybody; it goes out of the address bar and of the history at once. */
export function takeEnrolment({ hash, pathname, search }: Location): string | undefined {
  if (hash !== '') history.replaceState(null, '', pathname + search)
  return hash.startsWith('#') ? enrolmentIn(hash) : undefined
}

/** Of a link as the server prints it, or of what stands behind its `#`. */
export function enrolmentIn(text: string): string | undefined {
  const secret = text.trim().replace(/^.*#?enrol=/, '')
  return SECRET.test(secret) ? secret : undefined
}
