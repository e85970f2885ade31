// A server that people run, unmodified: the reference server of the project, which does everything there is.
import { beforeAll, describe, expect, test } from 'vitest'
import { ELICITED, LEGACY_WAYS_IN, ROOTS, SAMPLED, type Caller } from '../support/clients.ts'
import { at, type Json } from '../support/json.ts'
import { WAYS_OUT, everything, type WayOut } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'

const heard = (client: Caller, method: string): Json[] => client.messages.filter((message) => message['method'] === method)
const textIn = (result: Json): unknown => at(result, 'content', 0, 'text')

describe.each(WAYS_OUT)('server-everything over %s', (wayOut) => {
  let server: WayOut
  beforeAll(async () => {
    server = await everything(wayOut)
    return server.stop
  })

  test.each(LEGACY_WAYS_IN)('does what it does for a client over $name', async ({ connect }) => {
    const client = await forThisTest(connect(server.served))
    const call = (name: string, args: Json = {}, meta: Json = {}): Promise<Json> => client.request('tools/call', { name, arguments: args, _meta: meta })

    // It asks for the roots by itself, after the handshake, with no call in flight.
    await until('the question for the roots', () => heard(client, 'roots/list').length > 0)
    expect(at(await client.request('tools/list'), 'tools')).toContainEqual(expect.objectContaining({ name: 'trigger-sampling-request' }))
    expect(textIn(await call('echo', { message: 'hé' }))).toBe('Echo: hé')
    expect(textIn(await call('trigger-sampling-request', { prompt: 'p' }))).toContain(SAMPLED.content.text)
    expect(JSON.stringify(await call('trigger-elicitation-request'))).toContain(ELICITED.content.name)
    expect(JSON.stringify(await call('get-roots-list'))).toContain(ROOTS.roots[0]?.uri)

    await call('trigger-long-running-operation', { duration: 0.2, steps: 4 }, { progressToken: 'slow' })
    expect(heard(client, 'notifications/progress').map(({ params }) => [at(params, 'progressToken'), at(params, 'progress')])).toEqual(
      [1, 2, 3, 4].map((step) => ['slow', step]),
    )

    const uri = String(at(await client.request('resources/list'), 'resources', 0, 'uri'))
    expect(at(await client.request('resources/read', { uri }), 'contents', 0, 'uri')).toBe(uri)
    await client.request('resources/subscribe', { uri })
    await call('toggle-subscriber-updates')
    await until('an update', () => heard(client, 'notifications/resources/updated').some((message) => at(message, 'params', 'uri') === uri))

    expect(at(await client.request('prompts/get', { name: 'args-prompt', arguments: { city: 'Ulm' } }), 'messages', 0, 'content', 'text')).toContain('Ulm')
    const completion = { ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'E' } }
    expect(at(await client.request('completion/complete', completion), 'completion', 'values')).toContain('Engineering')
  })
})
