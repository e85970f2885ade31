// Templates of resources, by the examples of RFC 6570 (§1.2, §3.2) and by the SDK's own reading of them.
import { UriTemplate } from '@modelcontextprotocol/sdk/shared/uriTemplate.js'
import { assert, property, string } from 'fast-check'
import { expect, test } from 'vitest'

import { expanded, variablesOf } from '../../src/openapi/uri-template.ts'

const VALUES: Readonly<Record<string, string>> = {
  var: 'value',
  hello: 'Hello World!',
  path: '/foo/bar',
  empty: '',
  x: '1024',
  y: '768',
  half: '50%',
  who: 'fred',
}
const valueOf = (name: string): string | undefined => VALUES[name]

test.each([
  ['{var}', 'value'],
  ['{hello}', 'Hello%20World%21'],
  ['{half}', '50%25'],
  ['O{empty}X', 'OX'],
  ['O{undef}X', 'OX'],
  ['{x,y}', '1024,768'],
  ['{x,hello,y}', '1024,Hello%20World%21,768'],
  ['{var:3}', 'val'],
  ['{var:30}', 'value'],
  ['{+var}', 'value'],
  ['{+hello}', 'Hello%20World!'],
  ['{+half}', '50%25'],
  ['{+path}/here', '/foo/bar/here'],
  ['{+path:6}/here', '/foo/b/here'],
  ['X{#var}', 'X#value'],
  ['X{#hello}', 'X#Hello%20World!'],
  ['X{.x,y}', 'X.1024.768'],
  ['X{.empty}', 'X.'],
  ['{/who}', '/fred'],
  ['{/var,x}/here', '/value/1024/here'],
  ['{/var*}', '/value'],
  ['{;who}', ';who=fred'],
  ['{;x,y,empty}', ';x=1024;y=768;empty'],
  ['{?x,y}', '?x=1024&y=768'],
  ['{?x,y,empty}', '?x=1024&y=768&empty='],
  ['{?x,undef}', '?x=1024'],
  ['?fixed=yes{&x}', '?fixed=yes&x=1024'],
  ['{var', '{var'],
  ['{}{a b}{!x}', '{}{a b}{!x}'],
])('%s is %s', (template, uri) => {
  expect(expanded(template, valueOf)).toBe(uri)
})

test('what has to be said of it is what stands in its paths', () => {
  expect(variablesOf('a://{x}{/y}/{x}{?z,x}{&w*}{+v:3}{b c}')).toEqual([
    { name: 'x', isNeeded: true },
    { name: 'y', isNeeded: true },
    { name: 'z', isNeeded: false },
    { name: 'w', isNeeded: false },
    { name: 'v', isNeeded: true },
  ])
})

test('any text comes back out of it as the SDK reads it', () => {
  const template = 'a://b/{one}/c{?two}'
  assert(
    property(string({ minLength: 1, unit: 'binary' }), string({ minLength: 1, unit: 'binary' }), (one, two) => {
      const found = new UriTemplate(template).match(expanded(template, (name) => (name === 'one' ? one : two)))
      expect(found && Object.values(found).map((value) => decodeURIComponent(String(value)))).toEqual([one, two])
    }),
    { numRuns: 300 },
  )
})
