// The app with all that it can have, and nothing behind it: which routes there are.
import type { Express } from 'express'

import { createKeyRouter } from '../../src/api-keys/router.ts'
import { createApp, type AppOptions } from '../../src/http/app.ts'
import { createOwnLogins } from '../../src/http/own-logins.ts'
import { createLoginDoors } from '../../src/oauth/browser/doors.ts'
import { createIssuer } from '../../src/oauth/issuer.ts'
import { createLog } from '../../src/observe/log.ts'
import { isJson } from '../support/json.ts'

/** Whoever reaches a handler of ours hears 500. The guard lets everybody in. */
export function wholeApp({ pathPrefix, openapi }: Pick<AppOptions, 'pathPrefix' | 'openapi'>): { app: Express; routes: readonly string[] } {
  const log = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })
  const keys = { signing: nothing, published: () => [], verifying: nothing, sealing: nothing, hashing: nothing, list: nothing, rotate: nothing, close: nothing }
  const cookies = { made: nothing, ended: nothing, isOf: nothing }
  const ours = { begin: nothing, redeem: nothing }
  const places = { baseOf: nothing, isOwnIssuer: nothing, resourceOf: nothing, opens: nothing }
  const addLogin = createLoginDoors({
    endpoints: { shown: nothing, challenge: nothing, approve: nothing, deny: nothing },
    registrations: { register: nothing, find: nothing },
    rows: { put: nothing, get: nothing, remove: nothing, use: nothing, isUsed: nothing, secret: nothing, boundTo: nothing, bind: nothing, end: nothing },
    cookies,
    flow: nothing,
    standingOf: nothing,
    places,
    mayBegin: nothing,
    mayProve: nothing,
    pathPrefix,
    log,
  })
  const issuer = createIssuer({
    token: nothing,
    browserLogin: { addTo: addLogin, token: nothing, refreshTokens: { find: nothing, end: nothing }, ours, cookies },
    introspect: nothing,
    revoke: nothing,
    keys,
    places,
    strangers: { unproved: () => {} },
    dpopRequired: false,
    pathPrefix,
    log,
  })
  const endpoints = { challenge: nothing, generate: nothing, get: nothing, rotate: nothing, revoke: nothing, reverseLookup: nothing }
  const keyRouter = createKeyRouter({ endpoints, closed: undefined, takeTurn: nothing, pathPrefix, log })
  const ownLogins = createOwnLogins({
    guard: nothing,
    callerOf: nothing,
    placeOf: nothing,
    placeOfProved: nothing,
    base: nothing,
    browser: { places, mayBegin: nothing, webUiUser: nothing, cookies, ours },
    pathPrefix,
    log,
    now: nothing,
  })
  const app = createApp({
    rules: { allowsHost: () => true, allowsOrigin: () => true, grantsOrigin: () => true },
    tls: false,
    exposeHeaders: [],
    pathPrefix,
    status: { ready: nothing, lastActivity: nothing, servers: nothing, counts: nothing },
    security: { issuer, keys: keyRouter, guard: (_req, _res, next) => next(), ownLogins: nothing },
    tsp: nothing,
    mcp: nothing,
    sse: nothing,
    messages: nothing,
    openapi,
    log,
  })
  return { app, routes: [...routesIn(app.router), ...routesIn(issuer), ...routesIn(keyRouter), ...routesIn(ownLogins)] }
}

function nothing(): never {
  throw new Error('nobody asks')
}

function routesIn(router: unknown): string[] {
  const stack: unknown = typeof router === 'function' && 'stack' in router ? router.stack : []
  if (!Array.isArray(stack)) throw new TypeError('a router has a stack')
  return stack.flatMap((layer: unknown) => (isJson(layer) && isJson(layer['route']) ? [layer['route']['path']].flat().map(String) : []))
}
