// Resources and prompts as plain HTTP, where they are asked for.
import { describe, expect, test } from 'vitest'

import { at, type Json } from '../support/json.ts'
import { ask } from '../support/wire.ts'
import { member, type Member } from '../openmcp/several.ts'
import { running } from '../openmcp/stage.ts'

const TEMPLATE = 'file:///{user}/notes{?page}'
const PATH = '/servers/one/resources/file~3A~2F~2F~2F~7Buser~7D~2Fnotes~7B~3Fpage~7D'
const PROMPT = { name: 'greet', arguments: [{ name: 'who', required: true }, { name: 'how' }] }

async function staged(
  openapi: { resources?: boolean; prompts?: boolean },
  capabilities: Json = { resources: {}, prompts: {} },
): Promise<{ one: Member; under(path: string): URL }> {
  const one = await member(
    'one',
    {
      'resources/list': () => ({ resources: [{ uri: 'file:///a b', name: 'a' }] }),
      'resources/templates/list': () => ({ resourceTemplates: [{ uriTemplate: TEMPLATE, name: 'notes' }] }),
      'resources/read': ({ uri }) => ({ contents: [{ uri, mimeType: 'text/html', text: '<script>a</script>' }] }),
      'prompts/list': () => ({ prompts: [PROMPT] }),
      'prompts/get': ({ arguments: given }) => ({ messages: [{ role: 'user', content: { type: 'text', text: JSON.stringify(given) } }] }),
    },
    capabilities,
  )
  const { at: under } = await running([{ ...one.server, openapi }])
  return { one, under }
}

describe('a resource', () => {
  test('is JSON as MCP has it, whatever it holds', async () => {
    const { under } = await staged({ resources: true })
    const answer = await ask(under('/servers/one/resources/file~3A~2F~2F~2Fa~20b'))
    expect([answer.status, answer.headers['content-type'], answer.headers['x-content-type-options']]).toEqual([200, 'application/json', 'nosniff'])
    expect(answer.json).toEqual({ contents: [{ uri: 'file:///a b', mimeType: 'text/html', text: '<script>a</script>' }] })
  })

  test.each([
    ['?user=ann', 'file:///ann/notes'],
    ['?user=a%2F..%2Fb&page=2', 'file:///a%2F..%2Fb/notes?page=2'],
    ['?user=%C3%BC&page=', 'file:///%C3%BC/notes?page='],
  ])('of a template is read by what the query says: %s', async (query, uri) => {
    const { one, under } = await staged({ resources: true })
    expect((await ask(under(PATH + query))).status).toBe(200)
    expect(one.asked('resources/read').map((message) => at(message, 'params', 'uri'))).toEqual([uri])
  })

  test('of a template that is not filled in is asked for nowhere', async () => {
    const { one, under } = await staged({ resources: true })
    const answer = await ask(under(`${PATH}?page=2`))
    expect([answer.status, at(answer.json, 'detail', 'errors')]).toEqual([422, [{ path: '/user', keyword: 'required', message: 'is required' }]])
    expect(one.asked('resources/read')).toEqual([])
  })
})

test('a prompt gets what the query says, and is not asked for without what it needs', async () => {
  const { one, under } = await staged({ prompts: true })
  const lacking = await ask(under('/servers/one/prompts/greet?how=loudly'))
  expect([lacking.status, at(lacking.json, 'detail', 'errors')]).toEqual([422, [{ path: '/who', keyword: 'required', message: 'is required' }]])
  expect(one.asked('prompts/get')).toEqual([])
  const answer = await ask(under('/servers/one/prompts/greet?who=ann&how=loudly'))
  expect(at(answer.json, 'messages', 0, 'content', 'text')).toBe('{"who":"ann","how":"loudly"}')
})

test.each([
  ['where nobody asked for them', {}, { resources: {}, prompts: {} }],
  ['of a server that has none', { resources: true, prompts: true }, { tools: {} }],
])('there are none %s, and the server hears of nothing', async (_where, openapi, capabilities) => {
  const { one, under } = await staged(openapi, capabilities)
  for (const path of ['/servers/one/resources/file~3A~2F~2F~2Fa~20b', `${PATH}?user=a`, '/servers/one/prompts/greet?who=ann']) {
    const answer = await ask(under(path))
    expect([path, answer.status, at(answer.json, 'detail', 'code')]).toEqual([path, 404, 'not_found'])
  }
  for (const method of ['resources/list', 'resources/templates/list', 'resources/read', 'prompts/list', 'prompts/get']) expect(one.asked(method)).toEqual([])
})
