// The steps of a login, each a request that oidc-provider answers. It sees requests that are made here, with what it needs and no more,
// and answers into the void: what of it leaves is taken out by hand, so that no header, cookie or page of its own does.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Provider, errors } from 'oidc-provider'

import type { Log } from '../../observe/log.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { createAdapters, type AdapterOptions } from './adapter.ts'
import { createProvider, type ProviderOptions } from './provider.ts'

export interface Flow {
  /** `query` was looked at before. */
  authorize(base: string, query: URLSearchParams): Promise<Answered>
  /** The login has its proof, or will not get it: back to the client. */
  resume(base: string, uid: string): Promise<Answered>
  token(base: string, form: URLSearchParams): Promise<Answered>
  /** Notes who proved it and what they give; undefined: it is over. Answers where the browser goes on. */
  approve(base: string, uid: string, given: Given): Promise<{ to: string; grantId: string } | undefined>
  deny(base: string, uid: string, why: string): Promise<string | undefined>
}

interface Given {
  readonly identity: string
  readonly clientId: string
  readonly resource: string
  /** As they were asked for: each token has of them what trust gives at its time. */
  readonly scopes: readonly string[]
}

export interface Answered {
  readonly location: string | undefined
  /** What `/token` answers, or what went wrong. */
  readonly body: JsonObject
  /** The login that was begun. */
  readonly uid: string | undefined
  /** What the access token that oidc-provider would give stands for. */
  readonly access:
    | { readonly accountId: string; readonly clientId: string; readonly grantId: string; readonly scope: string; readonly resource: string }
    | undefined
}

export interface FlowOptions extends AdapterOptions, Omit<ProviderOptions, 'adapters'> {
  pathPrefix: string
  log: Log
}

/** Each has keys, schemas and routes of its own: so many names of ours are ready at once. */
const MOST_BASES = 8

export function createFlow(options: FlowOptions): Flow {
  const { pathPrefix, log } = options
  const adapters = createAdapters(options)
  const known = new Map<string, Running>()

  function at(base: string): Running {
    let running = known.get(base)
    if (!running) {
      const [oldest] = known.keys()
      if (known.size >= MOST_BASES && oldest !== undefined) known.delete(oldest)
      running = startProvider(createProvider(base, { ...options, adapters }), log)
      known.set(base, running)
    }
    return running
  }
  const run = (base: string, step: Step): Promise<Answered> => at(base).answer(requestOf(base, pathPrefix, step))

  return {
    authorize: (base, query) => run(base, { path: `/authorize?${query.toString()}` }),
    resume: (base, uid) => run(base, { path: `/authorize/${uid}`, uid }),
    token: (base, form) => run(base, { path: '/token', form }),
    async approve(base, uid, { identity, clientId, resource, scopes }) {
      const { provider } = at(base)
      const login = await provider.Interaction.find(uid)
      if (!login) return undefined
      const grant = new provider.Grant({ accountId: identity, clientId })
      grant.addResourceScope(resource, [...scopes])
      const grantId = await grant.save()
      login.result = { login: { accountId: identity, remember: false }, consent: { grantId } }
      await login.persist()
      return { to: login.returnTo, grantId }
    },
    async deny(base, uid, why) {
      const login = await at(base).provider.Interaction.find(uid)
      if (!login) return undefined
      login.result = { error: 'access_denied', error_description: why }
      await login.persist()
      return login.returnTo
    },
  }
}

interface Running {
  readonly provider: Provider
  answer(req: IncomingMessage): Promise<Answered>
}

function startProvider(provider: Provider, log: Log): Running {
  const answers = new WeakMap<IncomingMessage, Answered>()
  const failures = new WeakMap<IncomingMessage, Error>()
  provider.on('server_error', ({ req }, error) => void failures.set(req, error))
  const refused = (endpoint: string, { message, error_detail: detail, error_description: description }: errors.OIDCProviderError): void =>
    log.debug('refused', { endpoint, error: message, why: detail ?? description })
  provider.on('authorization.error', (_ctx, error) => refused('/authorize', error))
  provider.on('grant.error', (_ctx, error) => refused('/token', error))
  provider.use(async (ctx, next) => {
    // Koa writes nothing then.
    ctx.respond = false
    try {
      await next()
    } catch (thrown) {
      failures.set(ctx.req, thrown instanceof Error ? thrown : new Error(String(thrown)))
      return
    }
    const oidc: unknown = ctx['oidc']
    if (!(oidc instanceof provider.OIDCContext)) return
    const { AccessToken: access, Interaction: begun } = oidc.entities
    const location = ctx.res.getHeader('location')
    answers.set(ctx.req, {
      location: typeof location === 'string' ? location : undefined,
      body: isObject(ctx.body) ? ctx.body : {},
      uid: oidc.route === 'authorization' ? begun?.uid : undefined,
      access: access && {
        accountId: access.accountId,
        clientId: access.clientId ?? '',
        grantId: access.grantId,
        scope: access.scope ?? '',
        resource: access.resourceServer?.identifier() ?? '',
      },
    })
  })
  const handle = provider.callback()
  return {
    provider,
    async answer(req) {
      await handle(req, new ServerResponse(req))
      const failure = failures.get(req)
      if (failure) throw failure
      const answered = answers.get(req)
      if (!answered) throw new Error('oidc-provider gave no answer')
      return answered
    },
  }
}

interface Step {
  readonly path: string
  readonly form?: URLSearchParams
  /** The login that a cookie of ours vouches for. */
  readonly uid?: string
}

function requestOf(base: string, pathPrefix: string, { path, form, uid }: Step): IncomingMessage {
  const { protocol, host } = new URL(base)
  const body = form?.toString()
  const req = new IncomingMessage(new Socket())
  Object.assign(req, { method: body === undefined ? 'GET' : 'POST', url: path, originalUrl: `${pathPrefix}${path}`, httpVersion: '1.1' })
  req.headers = {
    host,
    'x-forwarded-proto': protocol.slice(0, -1),
    accept: body === undefined ? 'text/html' : 'application/json',
    ...(body !== undefined && { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(Buffer.byteLength(body)) }),
    ...(uid !== undefined && { cookie: `_interaction=${uid}; _interaction_resume=${uid}` }),
  }
  // All of it is here: without this its end would look like a request that was cut.
  req.complete = true
  if (body !== undefined) req.push(body)
  req.push(null)
  return req
}
