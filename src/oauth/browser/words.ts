// What a person reads who cannot be sent back: the program that sent them here is not known, or asked for something else than it may.
const WORDS = {
  invalid_client: 'The program that sent you here is not known here, or its registration is over. In that program, remove this server and add it again.',
  invalid_redirect_uri: 'The program that sent you here wants you to be sent somewhere else than it said before. Nobody is sent there.',
  another_browser: 'This login was begun in another browser, or not at all. If you did not begin it yourself, somebody may be trying to log in as you.',
  expired_login: 'This login is over. Begin again in the program that you want to use.',
  too_many_requests: 'Too many logins are being begun. Wait a moment, and try again.',
  temporarily_unavailable: 'This server cannot read or write what it remembers. Try again later.',
  server_error: 'Something is wrong with this server, and not with you. Whoever runs it finds more in its log.',
  invalid_request: 'The program that sent you here asked in a way that is not allowed.',
} as const

export type PageError = keyof typeof WORDS

/** Nothing of what was sent comes back. */
export function pageOf(error: PageError): string {
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>No login · openmcp</title></head>',
    `<body><main><h1>No login</h1><p>${WORDS[error]}</p><p><code>${error}</code></p></main></body></html>`,
  ].join('')
}

export function pageErrorOf(error: unknown): PageError {
  return error === 'invalid_client' || error === 'invalid_redirect_uri' ? error : 'invalid_request'
}
