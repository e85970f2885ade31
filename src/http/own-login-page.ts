// What a person reads while they log in at an upstream with a login of their own. Nothing in a page runs, nothing but our own style is
// loaded, and nothing of a request is in it.
import type { ServerResponse } from 'node:http'

import { headersOfPage } from '../protocol/page-headers.ts'

const WORDS = {
  done: [200, 'Logged in', 'Your login is kept. Go back to your program, and try again there; this page can be closed.'],
  refused: [400, 'Not logged in', 'You said no here, or the login was refused there. Nothing was kept; this page can be closed.'],
  forgotten: [200, 'Forgotten', 'Your login was forgotten. This page can be closed.'],
  failed: [502, 'Not logged in', 'The login did not succeed. Whoever runs this server finds the reason in its log.'],
  not_ours: [400, 'Another login', 'This is not the answer to a login that waits here, or it came a second time. Begin again in your program.'],
  another_browser: [
    403,
    'Another browser',
    'This login was begun in another browser, or not at all. If you did not begin it yourself, somebody may be trying to use your account.',
  ],
  unknown: [404, 'Nothing here', 'There is no server of this name that you could log in at.'],
  other_name: [400, 'Another name', 'This server was called by another name than its own. Whoever runs it sets --public-url to the address that people open.'],
  no_way_back: [
    503,
    'Not now',
    'A browser cannot be sent back to this server under the name that it has. Whoever runs it sets --public-url to the https address that people open.',
  ],
  not_proved: [403, 'Not proved', 'You did not prove who you are, or may not come in here.'],
  busy: [429, 'Too many logins', 'Too many logins are being begun. Wait a moment, and try again.'],
  away: [503, 'Not now', 'This server cannot log anybody in now. Try again later.'],
} as const

export type PageWord = keyof typeof WORDS

export function showPage(res: ServerResponse, word: PageWord, headers: Readonly<Record<string, string>> = {}): void {
  const [status, title, text] = WORDS[word]
  write(res, status, title, `<p>${text}</p>`, headers)
}

export interface Consent {
  readonly server: string
  readonly address: string
  /** Who logs the person in. */
  readonly issuer: string
  /** Where the person is sent. */
  readonly host: string
  readonly scope: string | undefined
  readonly caller: string
  /** When the login that is there was made. */
  readonly since: string | undefined
  readonly state: string
}

/** Who logs in, where, and what for: read before anybody is sent anywhere. */
export function showConsent(res: ServerResponse, { server, address, issuer, host, scope, caller, since, state }: Consent): void {
  const text = [
    `<p class="wrap">You are <strong>${escaped(caller)}</strong>. You will be sent to</p><p class="wrap"><strong>${escaped(issuer)}</strong>${isAt(issuer, host) ? '' : ` at <strong>${escaped(host)}</strong>`}</p>`,
    `<p class="wrap">to log in there. What it gives is kept here, and used at the server <strong>${escaped(server)}</strong> (${escaped(address)}) whenever you call it through this one, and for nobody else.</p>`,
    ...(scope === undefined ? [] : [`<p class="wrap">Asked for: ${escaped(scope)}</p>`]),
    ...(since === undefined ? [] : [`<p>You are logged in there since ${escaped(since)}. A new login takes its place.</p>`]),
    '<p>Go on only if you yourself have just opened this page.</p>',
    // To where it is: a path of our own, whatever stands in front of us.
    `<form method="post" action="answer"><input type="hidden" name="state" value="${escaped(state)}">`,
    '<button name="answer" value="yes">Log in</button> <button name="answer" value="no">Cancel</button>',
    ...(since === undefined ? [] : [' <button name="answer" value="forget">Forget my login</button>']),
    '</form>',
  ]
  // With no-referrer a browser would say of the form that it comes from nowhere, which is not let in (Fetch, "append a request `Origin` header").
  write(res, 200, `A login of your own at ${server}`, text.join('\n'), { 'referrer-policy': 'same-origin' })
}

/** Many an issuer has its pages at a host of their own. One that means harm sends people to somebody else's. */
function isAt(issuer: string, host: string): boolean {
  return URL.canParse(issuer) && new URL(issuer).host === host
}

/** Not by a redirect: browsers hold all that follows a form to `form-action`, and where an issuer sends people on is not known here. */
export function showWayTo(res: ServerResponse, url: URL): void {
  const to = escaped(url.href)
  const body = `<p><a href="${to}" rel="noreferrer">Go on to ${escaped(url.host)}</a></p>`
  write(res, 200, 'On to the login', body, {}, `<meta http-equiv="refresh" content="0; url=${to}">\n`)
}

function write(res: ServerResponse, status: number, title: string, body: string, headers: Readonly<Record<string, string>> = {}, head = ''): void {
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>openmcp: ${escaped(title)}</title>
<link rel="stylesheet" href="../../keys/page.css">
${head}<main>
<h1 class="wrap">${escaped(title)}</h1>
${body}
</main>
</html>
`
  res.writeHead(status, {
    ...headersOfPage(page, "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    ...headers,
  })
  res.end(page)
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"'`]|[^\P{C} ]|\p{Default_Ignorable_Code_Point}/gu, (sign) => `&#${sign.codePointAt(0)};`)
}
