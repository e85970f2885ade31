// The key page: a browser door, with rules of its own. Its few files are read once and served from memory.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Request, RequestHandler } from 'express'
import helmet from 'helmet'

/** As seen from the bundle (dist/ and dist/chunks/), and from where this file is built or written (dist/http/, src/http/). */
const PLACES = ['./key-page/', '../key-page/', '../../dist/key-page/']

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

type Served = ReadonlyMap<string, File>

export function keyPage(): RequestHandler {
  const rules = helmet(BROWSER_DOOR)
  let loading: Promise<Served> | undefined
  async function found({ params: { file = '' } }: Request): Promise<File | undefined> {
    // What could not be read may be there the next time.
    loading ??= load().catch((thrown: unknown) => {
      loading = undefined
      throw thrown
    })
    const files = await loading
    return typeof file === 'string' ? files.get(file) : undefined
  }
  return async (req, res, next) => {
    const file = req.path.endsWith('/') ? undefined : await found(req)
    if (!file) return next()
    rules(req, res, () => {
      res.setHeader('permissions-policy', 'camera=(), microphone=(), geolocation=(), payment=()')
      res.setHeader('cache-control', 'no-cache')
      res.setHeader('etag', file.etag)
      if (req.headers['if-none-match'] === file.etag) return void res.status(304).end()
      res.setHeader('content-type', file.type)
      res.end(req.method === 'HEAD' ? undefined : file.body)
    })
  }
}

/** Nothing but our own script and style, nothing inline, nobody around us, and no text that becomes markup. */
const BROWSER_DOOR = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    },
  },
  // The app's own helmet has said it, or it is said without TLS.
  strictTransportSecurity: false,
  referrerPolicy: { policy: 'no-referrer' },
  xFrameOptions: { action: 'deny' },
  // Wallets open windows of their own.
  crossOriginOpenerPolicy: { policy: 'same-origin-allow-popups' },
  crossOriginResourcePolicy: { policy: 'same-origin' },
  xXssProtection: false,
} as const

async function load(): Promise<Served> {
  const loaded = await Promise.all(
    Object.entries(FILES).map(async ([name, { file, type }]) => {
      const body = await readFirst(file)
      return [name, { body, type, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }] as const
    }),
  )
  return new Map(loaded)
}

async function readFirst(file: string): Promise<Buffer> {
  let last: unknown
  for (const place of PLACES) {
    try {
      return await readFile(new URL(place + file, import.meta.url))
    } catch (thrown) {
      last = thrown
    }
  }
  throw last
}
