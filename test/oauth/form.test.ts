// What is no form, too much of one, or one that says something twice.
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

import { assertionClaims, holder } from '../support/did.ts'
import { JWT_BEARER, secured, type Secured } from '../support/secured.ts'
import { ask, raw, type Answer } from '../support/wire.ts'

const ENDPOINTS = ['/token', '/introspect', '/revoke']
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

function send(s: Secured, path: string, body: string | Buffer, headers: Readonly<Record<string, string>> = FORM): Promise<Answer> {
  return ask(new URL(`${s.base}${path}`), { method: 'POST', headers, body })
}

test.each(ENDPOINTS)('%s takes a form and nothing else', async (path) => {
  const s = await secured()
  const bodies: [string, Record<string, string>][] = [
    ['{"grant_type":"client_credentials"}', { 'content-type': 'application/json' }],
    ['grant_type=client_credentials', { 'content-type': 'text/plain' }],
    ['grant_type=client_credentials', {}],
    ['--x\r\n\r\n--x--', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['grant_type=client_credentials', { 'content-type': 'application/x-www-form-urlencoded-not' }],
  ]
  for (const [body, headers] of bodies) {
    const answer = await send(s, path, body, headers)
    expect([body, answer.status, answer.json['error'], answer.headers['cache-control']]).toEqual([body, 400, 'invalid_request', 'no-store'])
  }
})

test.each(ENDPOINTS)('%s refuses a parameter that is there twice, whichever it is', async (path) => {
  const s = await secured()
  for (const body of ['grant_type=a&grant_type=a', 'token=a&token=b', 'x=1&token=a&x=1', 'scope=&scope=', 'resource=a&resource=b']) {
    const answer = await send(s, path, body)
    expect([answer.status, answer.json]).toEqual([400, { error: 'invalid_request', error_description: 'a parameter is there more than once' }])
  }
})

test.each(ENDPOINTS)('%s refuses a form that is too large, has too many members, is compressed or in another alphabet', async (path) => {
  const s = await secured()
  const refused: [number, string | Buffer, Record<string, string>][] = [
    [413, `token=${'a'.repeat(16 * 1024)}`, FORM],
    [413, Array.from({ length: 40 }, (_, index) => `a${index}=1`).join('&'), FORM],
    [415, gzipSync('token=a'), { ...FORM, 'content-encoding': 'gzip' }],
    [415, 'token=a', { ...FORM, 'content-encoding': 'br' }],
    [415, 'token=a', { 'content-type': `${FORM['content-type']}; charset=utf-16` }],
  ]
  for (const [status, body, headers] of refused) {
    const answer = await send(s, path, body, headers)
    expect([answer.status, answer.json['error'], answer.headers['cache-control']]).toEqual([status, 'invalid_request', 'no-store'])
  }
})

test('a form of nearly 16 KB is read', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const assertion = await ann.sign(assertionClaims(ann.did, s.base))
  const answer = await s.post('/token', { grant_type: JWT_BEARER, assertion, padding: 'a'.repeat(15_000) })
  expect(answer.status).toBe(200)
})

test('names that mean something to the language mean nothing', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const assertion = await ann.sign(assertionClaims(ann.did, s.base))
  const body = `__proto__=x&constructor=x&toString=x&hasOwnProperty=x&grant_type=${encodeURIComponent(JWT_BEARER)}&assertion=${assertion}&scope[]=a&scope[x]=b`
  expect((await send(s, '/token', body)).status).toBe(200)
  expect((await send(s, '/token', '__proto__[grant_type]=client_credentials')).json['error']).toBe('invalid_request')
})

test('what cannot be decoded is a text like any other', async () => {
  const s = await secured()
  for (const body of ['grant_type=%', 'grant_type=%zz', 'grant_type=%00', 'grant_type=%ff%fe', '=&=&=', '&&&', '=', '%=%']) {
    const { status, json } = await send(s, '/token', body)
    expect([body, status]).toEqual([body, 400])
    expect(['invalid_request', 'unsupported_grant_type']).toContain(json['error'])
  }
})

test('a form in pieces is read, and one that stops in the middle is answered by nobody and harms nobody', async () => {
  const s = await secured()
  const head = `POST /token HTTP/1.1\r\nHost: ${s.url.host}\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n`
  expect(await raw(s.url, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\ngrant\r\n7\r\n_type=a\r\n0\r\n\r\n`)).toContain('unsupported_grant_type')
  expect(await raw(s.url, `${head}Content-Length: 100\r\n\r\ngrant`)).not.toContain('access_token')
  expect((await send(s, '/token', 'grant_type=a')).status).toBe(400)
})

test('the issuer answers in JSON that no page may read, without a cookie or a redirect', async () => {
  const s = await secured()
  for (const path of [...ENDPOINTS, '/authorize']) {
    const { headers } = await send(s, path, 'grant_type=a')
    expect(headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'x-content-type-options': 'nosniff' })
    expect([headers['set-cookie'], headers.location, headers['access-control-allow-origin'], headers['x-powered-by'], headers.etag]).toEqual(
      Array.from({ length: 5 }, () => undefined),
    )
  }
})
