import { DEFAULT_INHERITED_ENV_VARS } from '@modelcontextprotocol/sdk/client/stdio.js'
import { expect, test } from 'vitest'
import { childEnvironment, isSet } from '../../src/upstream/child-environment.ts'

const linux = { platform: 'linux', pass: [], set: [] } as const

test('a child gets what a program needs to run, and none of our secrets', () => {
  const env = {
    PATH: '/bin',
    HOME: '/home/ann',
    LANG: 'C',
    LC_ALL: 'C',
    TZ: 'UTC',
    TMPDIR: '/tmp',
    GITHUB_TOKEN: 'hunter2',
    NODE_OPTIONS: '--inspect',
    UNSET: undefined,
  }
  expect(childEnvironment({ ...linux, env })).toEqual({ PATH: '/bin', HOME: '/home/ann', LANG: 'C', LC_ALL: 'C', TZ: 'UTC', TMPDIR: '/tmp' })
})

test('everything the official SDK hands on is handed on', () => {
  const env = Object.fromEntries(DEFAULT_INHERITED_ENV_VARS.map((name) => [name, 'x']))
  expect(childEnvironment({ env, platform: process.platform, pass: [], set: [] })).toEqual(env)
})

test('a function that an old shell exported is not handed on', () => {
  expect(childEnvironment({ ...linux, env: { TERM: '() { :;}; echo pwned', USER: 'ann' } })).toEqual({ USER: 'ann' })
})

test('what is passed on goes before what is set, and of what is set the later wins', () => {
  const env = { A: 'ours', B: 'ours', C: 'ours', PATH: '/bin' }
  const set = [
    ['B', 'file'],
    ['C', 'file'],
    ['C', 'typed'],
    ['PATH', '/opt'],
  ] as const
  expect(childEnvironment({ env, platform: 'linux', pass: ['A', 'B', 'MISSING'], set })).toEqual({ A: 'ours', B: 'file', C: 'typed', PATH: '/opt' })
})

test('on Windows names are the same in any case, and a child sees each once', () => {
  const env = { Path: 'C:\\Windows', SystemRoot: 'C:\\Windows', windir: 'C:\\Windows', Token: 'x' }
  expect(childEnvironment({ env, platform: 'win32', pass: ['TOKEN'], set: [['PATH', 'D:\\']] })).toEqual({
    PATH: 'D:\\',
    SystemRoot: 'C:\\Windows',
    Token: 'x',
  })
  expect(isSet('token', env, 'win32')).toBe(true)
  expect(isSet('token', env, 'linux')).toBe(false)
})

test('a name that every object has is an ordinary name', () => {
  const env: Record<string, string> = JSON.parse('{"__proto__":"x","constructor":"y"}')
  expect(Object.entries(childEnvironment({ env, platform: 'linux', pass: ['__proto__', 'toString'], set: [['constructor', 'z']] }))).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'z'],
  ])
})
