// Preload for programs that have no place for a credential, as the suite's has none: every request they send to the server under
// test carries one. CONFORMANCE_CREDENTIAL is `{ origin, authorization }`.
import { subscribe } from 'node:diagnostics_channel'
import http from 'node:http'

const { origin, authorization } = JSON.parse(process.env.CONFORMANCE_CREDENTIAL)

// fetch and every copy of undici tell here what they are about to send, and to where whatever its Host header claims.
subscribe('undici:request:create', ({ request }) => {
  if (request.origin === origin) request.addHeader('authorization', authorization)
})

const requestOf = http.request
http.request = (where, ...others) => {
  const request = requestOf(where, ...others)
  if (originOf(where) === origin) request.setHeader('authorization', authorization)
  return request
}

function originOf(where) {
  return typeof where === 'string' || where instanceof URL ? new URL(where).origin : `http://${where.hostname ?? where.host}:${where.port}`
}
