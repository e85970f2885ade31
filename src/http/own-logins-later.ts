// The doors of callers' own logins are loaded for the first who knocks at one.
import type { RequestHandler } from 'express'

import type { OwnLoginsOptions } from './own-logins.ts'

export function ownLoginsLater<Begun extends { url: URL }>(options: OwnLoginsOptions<Begun>): RequestHandler {
  let loading: Promise<RequestHandler> | undefined
  return (req, res, next) => {
    loading ??= import('./own-logins.ts').then(({ createOwnLogins }) => createOwnLogins(options))
    loading.then((doors) => void doors(req, res, next), next)
  }
}
