// The page on which operations are tried: a frame that says nothing of what is served here, and scripts that ask for it as their person
// may. So it is open, and the document that it shows is not.
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Request, RequestHandler, Response } from 'express'

import { browserDoor } from './browser-door.ts'
import { listBuilt, readBuilt, readOnce } from './built-pages.ts'

const FOLDER = 'docs'
const FRAME = 'index.html'
const TYPES: ReadonlyMap<string, string> = new Map([
  ['js', 'text/javascript; charset=utf-8'],
  ['css', 'text/css; charset=utf-8'],
])
const A_YEAR = 'public, max-age=31536000, immutable'
/** In the frame, where the way up to the files stands. */
const UP = '%UP%'

interface Files {
  readonly frame: string
  /** Their names change with what is in them. They lie here packed. */
  readonly parts: ReadonlyMap<string, { readonly packed: Buffer; readonly type: string }>
}

/**
 * Serves the page at a path that ends with `/docs`, and its files at `/docs/:file`. `depth` is how many segments stand before the
 * page's `docs`: its files are those of the `/docs` that is so far up, so that a browser keeps them once for all servers.
 */
export function docsPage(depth: number): RequestHandler {
  const rules = browserDoor({ images: ["'self'", 'data:'], opener: 'same-origin' })
  const files = readOnce(load)
  const frame = readOnce(async () => frameFrom((await files()).frame, depth))
  async function sendFrame(req: Request, res: Response): Promise<void> {
    const { body, etag } = await frame()
    rules(req, res, () => {
      res.setHeader('cache-control', 'no-cache')
      res.setHeader('etag', etag)
      if (req.headers['if-none-match'] === etag) return void res.status(304).end()
      res.setHeader('content-type', 'text/html; charset=utf-8')
      res.end(req.method === 'HEAD' ? undefined : body)
    })
  }
  return async (req, res, next) => {
    if (req.path.endsWith('/')) return next()
    const { file: name } = req.params
    if (name === undefined) return sendFrame(req, res)
    const part = typeof name === 'string' ? (await files()).parts.get(name) : undefined
    if (!part) return next()
    const packs = /(?:^|[\s,])gzip(?:$|[\s,;])/.test(req.headers['accept-encoding'] ?? '')
    const body = packs ? part.packed : await promisify(gunzip)(part.packed)
    rules(req, res, () => {
      res.setHeader('cache-control', A_YEAR)
      res.setHeader('vary', 'accept-encoding')
      if (packs) res.setHeader('content-encoding', 'gzip')
      res.setHeader('content-type', part.type)
      res.end(req.method === 'HEAD' ? undefined : body)
    })
  }
}

function frameFrom(text: string, depth: number): { body: Buffer; etag: string } {
  const body = Buffer.from(text.replaceAll(UP, '../'.repeat(depth)))
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }
}

async function load(): Promise<Files> {
  const packed = (await listBuilt(FOLDER)).filter((name) => name.endsWith('.gz'))
  const parts = packed.map(async (file) => {
    const name = file.slice(0, -'.gz'.length)
    const type = TYPES.get(name.slice(name.lastIndexOf('.') + 1)) ?? 'application/octet-stream'
    return [name, { packed: await readBuilt(`${FOLDER}/${file}`), type }] as const
  })
  return { frame: (await readBuilt(`${FOLDER}/${FRAME}`)).toString('utf8'), parts: new Map(await Promise.all(parts)) }
}
