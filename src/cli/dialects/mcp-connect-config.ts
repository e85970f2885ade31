// The words of mcp-connect that are about its configuration: they become those about ours.
import { USUAL_FILE } from '../config/asked.ts'
import { textOf } from '../machine.ts'
import type { Dialect, Draft, Meaning, Speech, Target } from './dialect.ts'
import { flag, kept, leaveOut, leftOut, logLevel, one, put, putLogLevel, refuse } from './meanings.ts'

/** A word, what it is in ours, and its options. */
export interface Word extends Pick<Dialect, 'options' | 'finish'> {
  readonly command: readonly string[]
}

const OWN_FILE = '.mcp-connect.json'
const NOTHING: Target = { kind: 'none' }
const DEBUG: readonly (readonly [string, Meaning])[] = [
  ['--debug', flag(kept('debug'))],
  ['--log-level', logLevel()],
]
const GENERATE: Word = {
  command: ['config', 'generate'],
  options: new Map([
    ['--ide', one((use, draft) => put(draft, '--ide', use.value))],
    ['--output', one(leftOut('it goes to stdout, and no file of another program is changed'))],
    ...DEBUG,
  ]),
  finish: withoutWords,
}

export const CONFIG_WORDS: ReadonlyMap<string, Word> = new Map([
  ['serve', { command: ['run'], options: new Map(DEBUG), finish: serve }],
  ['init', { command: ['config', 'init'], options: new Map([['--force', flag((_use, draft) => put(draft, '--force'))], ...DEBUG]), finish: withoutWords }],
  ['generate-config', GENERATE],
  ['generate', GENERATE],
  ['registry', { command: ['config'], options: new Map(DEBUG), finish: registry }],
  [
    'config',
    {
      command: ['config', 'add'],
      options: new Map([
        ['--url', one(kept('url'))],
        ['--auth-header', one((use, draft) => put(draft, '-H', use.value))],
        ['--search', flag(kept('search'))],
        ['--from-url', one(kept('search'))],
      ]),
      finish: add,
    },
  ],
])

/** All servers of the file as one, on our stdio. */
function serve({ words }: Speech, draft: Draft): Target {
  refuseMore(words, draft)
  putLogLevel(draft)
  if (isThere(OWN_FILE, draft) && !isThere(USUAL_FILE, draft)) {
    refuse(draft, `${OWN_FILE} is no configuration of openmcp`, `openmcp config import ${OWN_FILE} > ${USUAL_FILE}`)
  }
  // Whoever starts it speaks with it on stdio, also where the file listens.
  put(draft, '-p', 'stdio')
  put(draft, '--config', USUAL_FILE)
  put(draft, '--aggregate')
  return NOTHING
}

function isThere(file: string, { machine }: Draft): boolean {
  try {
    textOf(machine, 'serve', file)
    return true
  } catch {
    return false
  }
}

function withoutWords({ words }: Speech, draft: Draft): Target {
  refuseMore(words, draft)
  for (const name of ['debug', 'log-level']) {
    const use = draft.said.get(name)
    if (use) leaveOut(draft, use, 'what is done is told in any case')
  }
  return NOTHING
}

function refuseMore([word]: readonly string[], draft: Draft): void {
  if (word !== undefined) refuse(draft, `'${word}' belongs to no option`, "drop it, or put '--' before a program of that name")
}

const BY_HAND = 'openmcp config add NAME URL, or openmcp config add NAME -- COMMAND ARG'

/** What is run comes from whoever runs it. */
function registry(_speech: Speech, draft: Draft): Target {
  refuse(draft, 'openmcp asks no registry which commands to run or which servers to trust', BY_HAND)
  return NOTHING
}

function add({ words: [sub, name, path] }: Speech, draft: Draft): Target {
  const url = draft.said.get('url')
  if (sub !== 'add' || name === undefined || path !== undefined || draft.said.has('search') || !url) {
    refuse(draft, 'a server is added by its URL or its command, and not out of a registry', BY_HAND)
    return NOTHING
  }
  draft.options.unshift(name, url.value)
  return NOTHING
}
