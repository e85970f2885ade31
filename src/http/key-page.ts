// The key page: a browser door, with rules of its own. Its few files are read once and served from memory.
import { createHash } from 'node:crypto'
import type { Request, RequestHandler } from 'express'

import { browserDoor } from './browser-door.ts'
import { readBuilt, readOnce } from './built-pages.ts'

const FILES = {
  '': { file: 'index.html', type: 'text/html; charset=utf-8' },
  'page.js': { file: 'page.js', type: 'text/javascript; charset=utf-8' },
  'page.css': { file: 'page.css', type: 'text/css; charset=utf-8' },
} as const

interface File {
  readonly body: Buffer
  readonly type: string
  readonly etag: string
}

export function keyPage(): RequestHandler {
  // Wallets open windows of their own.
  const rules = browserDoor({ opener: 'same-origin-allow-popups' })
  const files = readOnce(load)
  async function found({ params: { file = '' } }: Request): Promise<File | undefined> {
    const all = await files()
    return typeof file === 'string' ? all.get(file) : undefined
  }
  return async (req, res, next) => {
    const file = req.path.endsWith('/') ? undefined : await found(req)
    if (!file) return next()
    rules(req, res, () => {
      res.setHeader('cache-control', 'no-cache')
      res.setHeader('etag', file.etag)
      if (req.headers['if-none-match'] === file.etag) return void res.status(304).end()
      res.setHeader('content-type', file.type)
      res.end(req.method === 'HEAD' ? undefined : file.body)
    })
  }
}

async function load(): Promise<ReadonlyMap<string, File>> {
  const loaded = await Promise.all(
    Object.entries(FILES).map(async ([name, { file, type }]) => {
      const body = await readBuilt(`key-page/${file}`)
      return [name, { body, type, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }] as const
    }),
  )
  return new Map(loaded)
}
