// The form of a request to the issuer: names that occur once, texts of a bounded length.
import type { Request } from 'express'

import { refusal, type Refusal } from './refusal.ts'

export interface Form {
  /** Undefined for what was not sent, and for the empty text (RFC 6749 §3.2: both are one). */
  get(name: string): string | undefined
}

/** RFC 6749 §3.2: parameters must not be included more than once. */
export function formOf(req: Request): Form | Refusal {
  const body: unknown = req.body
  if (!req.is('application/x-www-form-urlencoded') || typeof body !== 'object' || body === null) {
    return refusal('invalid_request', 'the body must be application/x-www-form-urlencoded')
  }
  const texts = new Map<string, string>()
  for (const [name, value] of Object.entries(body)) {
    if (typeof value !== 'string') return refusal('invalid_request', 'a parameter is there more than once')
    if (value !== '') texts.set(name, value)
  }
  return { get: (name) => texts.get(name) }
}
