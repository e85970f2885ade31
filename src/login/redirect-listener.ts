// Takes the redirect of one login on loopback (RFC 8252 §7.3), and answers the browser with words of ours alone.
import { createServer, type ServerResponse } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import { headersOfPage } from '../protocol/page-headers.ts'
import type { RedirectAnswer } from './redirect-answer.ts'

export interface RedirectListener {
  readonly redirectUri: string
  close(): void
}

const PATH = '/callback'
const MAX_URL = 8192

/** Every request to its path is offered to `take`, until it answers with something else than `not_ours`. */
export async function listenForRedirect(take: (parameters: URLSearchParams) => RedirectAnswer['kind']): Promise<RedirectListener> {
  let origin = ''
  let isOver = false
  const server = createServer({ maxHeaderSize: 16 * 1024, requestTimeout: 10_000, headersTimeout: 10_000 }, (req, res) => {
    req.resume()
    const { method, url = '', headers } = req
    // A page elsewhere could reach us under a name of its own that leads here.
    if (`http://${headers.host}` !== origin) return answer(res, 403, PAGES.elsewhere)
    if (method !== 'GET') return answer(res, 405, PAGES.elsewhere, { allow: 'GET' })
    if (url.length > MAX_URL || !URL.canParse(url, origin)) return answer(res, 400, PAGES.elsewhere)
    const { pathname, searchParams, origin: asked } = new URL(url, origin)
    if (pathname !== PATH || asked !== origin) return answer(res, 404, PAGES.elsewhere)
    if (isOver) return answer(res, 410, PAGES.over)
    const kind = take(searchParams)
    isOver = kind !== 'not_ours'
    if (kind === 'code') return answer(res, 200, PAGES.code)
    answer(res, 400, kind === 'failed' ? PAGES.failed : PAGES.not_ours)
  })
  server.maxConnections = 32
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new OpenMcpError('login_failed', 'no port on 127.0.0.1 is free for the answer of the login', { cause })))
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new OpenMcpError('internal', 'a listener without an address')
  origin = `http://127.0.0.1:${address.port}`
  return {
    redirectUri: `${origin}${PATH}`,
    close() {
      isOver = true
      server.close()
      // What is being answered goes out; a connection that says nothing is not waited for.
      server.closeIdleConnections()
    },
  }
}

const PAGES = {
  code: ['Back to the terminal', 'The answer of the login has arrived. openmcp does the rest in the terminal; this page can be closed.'],
  failed: ['Not logged in', 'The login did not succeed. The terminal says why; this page can be closed.'],
  not_ours: ['Another login', 'This is not the answer to the login that openmcp waits for. Open the address that the terminal shows.'],
  over: ['Over', 'This login is over. The terminal says how it ended; this page can be closed.'],
  elsewhere: ['Nothing here', 'openmcp waits here for the answer of a login, and this is none.'],
} as const

/** Nothing of the request is in a page, and nothing in it runs or is loaded. */
function answer(res: ServerResponse, status: number, [title, text]: readonly [string, string], more: Readonly<Record<string, string>> = {}): void {
  const page = `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>openmcp: ${title}</title>\n<h1>${title}</h1>\n<p>${text}</p>\n</html>\n`
  res.writeHead(status, {
    ...headersOfPage(page, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    connection: 'close',
    ...more,
  })
  res.end(page)
}
