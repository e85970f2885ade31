// The doors of callers' own logins are loaded for the first who knocks at one.
import type { RequestHandler } from 'express'

import { isServerName } from '../protocol/server-path.ts'
import type { OwnLoginsOptions } from './own-logins.ts'

export function ownLoginsLater<Begun extends { url: URL }>(options: OwnLoginsOptions<Begun>): RequestHandler {
  let loading: Promise<RequestHandler> | undefined
  return (req, res, next) => {
    loading ??= import('./own-logins.ts').then(({ createOwnLogins }) => createOwnLogins(options))
    loading.then((doors) => void doors(req, res, next), next)
  }
}

/** From `/NAME/login`, where mcpo has it. The way there is told from where the browser is, whatever a proxy in front takes off. */
export const toOwnLogin: RequestHandler = (req, res, next) => {
  const { name } = req.params
  if (typeof name !== 'string' || !isServerName(name)) return next()
  res.setHeader('cache-control', 'no-store').setHeader('location', `../oauth/${encodeURIComponent(name)}/authorize`)
  res.status(303).end()
}
