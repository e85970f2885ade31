// --named-server: servers of the command line beside the one at the root, and what is at the root then.
import { OpenMcpError } from '../errors.ts'
import type { NamedServer, OpenMcpOptions } from '../openmcp.ts'
import { isServerName } from '../protocol/server-path.ts'
import { childEnvironment } from '../upstream/child-environment.ts'
import type { ConfiguredServer } from './configured-servers.ts'
import { namesSecret } from './headers.ts'
import { splitWords } from './split-words.ts'
import { allOf, passedOf, type Reading } from './target-options.ts'

const HOW = `--named-server 'git=uvx mcp-server-git --repository "My Work"'`

/** Each is started as it is written: there is no shell. They get the environment that every child gets, and --pass-env; the file of --config gives them more. */
export function namedServersOf(reading: Reading, defaults: Pick<NamedServer, 'isolation' | 'limits' | 'openapi'>): ConfiguredServer[] {
  const { machine, mistakes } = reading
  const named = allOf(reading, 'named-server')
  if (named.length === 0) return []
  const env = childEnvironment({ env: machine.env, platform: machine.platform, pass: passedOf(reading), set: [] })
  return named.flatMap(({ as, value }): ConfiguredServer[] => {
    const server = mistakes.attempt(() => namedServer(value, as))
    if (!server) return []
    const [name, command, args] = server
    warnOfSecrets(name, args, reading)
    return [{ name, target: { kind: 'command', command, args, env }, ...defaults }]
  })
}

function namedServer(text: string, as: string): [name: string, command: string, args: string[]] {
  const equals = text.indexOf('=')
  const name = text.slice(0, Math.max(equals, 0))
  // The text is not repeated: there may be a secret in it.
  if (equals === -1 || !isServerName(name)) {
    throw new OpenMcpError('usage', `${as} takes NAME=COMMAND, with a NAME of 1 to 64 letters, digits, spaces and @ _ . + : -`, { hint: HOW })
  }
  const words = splitWords(text.slice(equals + 1))
  if (!words) throw new OpenMcpError('usage', `${as} ${name}: a quote is open at the end of its command, or a backslash ends it`, { hint: HOW })
  const [command = '', ...args] = words
  if (command === '') throw new OpenMcpError('usage', `${as} ${name}: there is no command behind it`, { hint: HOW })
  return [name, command, args]
}

function warnOfSecrets(name: string, args: readonly string[], { warnings }: Reading): void {
  const secret = args.find((word, index) => {
    const [, option = '', value] = /^-{0,2}([A-Za-z][\w-]*)(?:=(.+))?$/s.exec(word) ?? []
    if (!namesSecret(option)) return false
    return value !== undefined || (word.startsWith('-') && !(args[index + 1] ?? '-').startsWith('-'))
  })
  if (secret === undefined) return
  const shown = secret.replace(/=.*$/s, '')
  warnings.push(
    `--named-server ${name}: ${shown}: other programs of this machine can read a command line; the 'env' of a server in --config FILE keeps a secret off it`,
  )
}

/** All servers as one where nothing else is. */
export function aggregateOf(reading: Reading, isInFile: boolean, root: OpenMcpOptions['target'], version: () => string): Pick<OpenMcpOptions, 'aggregate'> {
  const [typed] = allOf(reading, 'aggregate')
  if (!typed && !isInFile) return {}
  if (root) {
    reading.mistakes.add(
      new OpenMcpError('usage', `${typed ? typed.as : 'aggregate in the file'} puts all servers at /mcp, and what was typed is there`, {
        hint: `--named-server NAME=COMMAND gives that a place of its own, or drop ${typed ? typed.as : 'aggregate'}`,
      }),
    )
  }
  return { aggregate: { name: 'openmcp', version: version() } }
}

/** --allow-tool and --block-tool, for the server at the root. */
export function toolRulesOf(reading: Reading, root: OpenMcpOptions['target']): Pick<OpenMcpOptions, 'tools'> {
  const globsOf = (option: string): string[] => allOf(reading, option).flatMap(({ as, value }) => reading.mistakes.attempt(() => globOf(value, as)) ?? [])
  const [allow, block] = [globsOf('allow-tool'), globsOf('block-tool')]
  const [typed] = [...allOf(reading, 'allow-tool'), ...allOf(reading, 'block-tool')]
  if (!typed) return {}
  if (!root) {
    reading.mistakes.add(
      new OpenMcpError('usage', `${typed.as} is for the server that is typed, and there is none`, {
        hint: "'allowedTools' and 'disabledTools' of a server in --config FILE are for that one",
      }),
    )
  }
  return { tools: { ...(allow.length > 0 && { allow }), ...(block.length > 0 && { block }) } }
}

const MOST_CHARS = 256

function globOf(text: string, as: string): string {
  if (text !== '' && text.length <= MOST_CHARS) return text
  throw new OpenMcpError('usage', `${as} takes a glob of 1 to ${MOST_CHARS} characters`, { hint: `${as} 'get_*'` })
}
