import { array, assert, boolean, constant, constantFrom, oneof, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { parsePublish, type Publish } from '../../src/cli/publish.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { machineWith } from './machine.ts'
import { refusable } from './refusal.ts'

const piece = constantFrom(
  '8000',
  '0',
  ':',
  '::',
  '[::1]',
  '[',
  ']',
  '/',
  'localhost',
  '127.0.0.1',
  'h',
  'http://',
  'https://',
  'did:',
  '@',
  '#',
  '?',
  '\\',
  ' ',
  '%',
  '99999',
)
const words = oneof(
  array(piece, { maxLength: 7 }).map((pieces) => pieces.join('')),
  string(),
)

test('whatever is published is understood or refused in words; what is understood can be listened on and asked', () => {
  expect(() =>
    assert(
      property(words, boolean(), (text, hasCommand) => {
        const published = refusable(() => parsePublish(text, { hasCommand }))
        return (
          published === undefined || (isBindable(published.listen) && (published.urls === undefined) === hasCommand && (published.urls ?? []).every(isPlain))
        )
      }),
      { numRuns: 3000 },
    ),
  ).not.toThrow()
})

test('whatever is typed is understood or refused in words', () => {
  const option = constantFrom(...[...RUN_OPTIONS].flatMap(([name, { short }]) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]))
  expect(() =>
    assert(
      property(array(oneof(option, words, constant('--')), { maxLength: 8 }), (argv) => {
        refusable(() => runOptions(readArguments(argv, RUN_OPTIONS), machineWith()))
      }),
      { numRuns: 3000 },
    ),
  ).not.toThrow()
})

function isBindable(listen: Publish['listen']): boolean {
  return listen === undefined || (listen.host !== '' && Number.isInteger(listen.port) && listen.port >= 0 && listen.port <= 65535)
}

function isPlain({ protocol, username, password, hash }: URL): boolean {
  return ['http:', 'https:'].includes(protocol) && `${username}${password}${hash}` === ''
}
