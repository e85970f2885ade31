import { printable, scrub } from '../observe/log.ts'

const MAX_SAID = 200

/** A stranger's words: short, on one line, and without the secrets that it was sent. */
export function spoken(text: string, secrets: readonly string[] = []): string {
  const clean = secrets.reduce((left, secret) => left.replaceAll(secret, '[secret]'), text)
  // Of what we sent a part may come back, too short to look like a token.
  return printable(scrub(clean.replaceAll(/eyJ[\w.-]*/g, '[token]'))).slice(0, MAX_SAID)
}
