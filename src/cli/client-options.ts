// The client that --client-id names, with its secret and what it asks for.
import { OpenMcpError } from '../errors.ts'
import { RESOURCE_INDICATOR } from '../protocol/resource-indicator.ts'
import type { RemoteTarget } from '../openmcp.ts'
import { textOf } from './machine.ts'
import { allOf, oneOf, saysWho, type Reading } from './target-options.ts'
import type { ClientLogin } from './upstream-login.ts'
import { parseScope, parseServerUrl } from './values.ts'

const SECRET_VARIABLE = 'OPENMCP_CLIENT_SECRET'
const FILE_VARIABLE = 'OPENMCP_CLIENT_SECRET_FILE'
const SECRET_OPTIONS = ['client-secret', 'client-secret-file'] as const
export const CLIENT_OPTIONS = ['client-id', ...SECRET_OPTIONS, 'token-url', 'oauth-scope', 'resource'] as const

/** Undefined without --client-id; and with a mistake in it, which is noted: a client is nobody without all that it takes to be it. */
export function clientLoginOf(reading: Reading, { urls: [address], headers }: RemoteTarget): ClientLogin | undefined {
  const { mistakes } = reading
  const id = oneOf(reading, 'client-id', parseClientId)
  const tokenUrl = oneOf(reading, 'token-url', parseServerUrl)
  const scope = oneOf(reading, 'oauth-scope', parseScope)
  const resource = oneOf(reading, 'resource', parseResource)
  if (allOf(reading, 'client-id').length === 0) {
    for (const { as } of CLIENT_OPTIONS.flatMap((name) => allOf(reading, name).slice(0, 1))) {
      mistakes.add(new OpenMcpError('usage', `${as} is for --client-id, and there is none`, { hint: `add --client-id ID, or drop ${as}` }))
    }
    return undefined
  }
  const secret = clientSecretOf(reading)
  if (!hasClientSecret(reading)) {
    mistakes.add(
      new OpenMcpError('usage', '--client-id is nobody without its secret', {
        hint: `add --client-secret-file FILE, or set ${SECRET_VARIABLE}; for a client by which people log in: openmcp login UPSTREAM --client-id ID`,
      }),
    )
  }
  if (allOf(reading, 'id').length > 0) mistakes.add(twoSay('--id'))
  const header = saysWho(reading, headers)
  if (header !== undefined) mistakes.add(twoSay(header))
  return id !== undefined && secret !== undefined && address ? { id, secret, address, tokenUrl, scope, resource } : undefined
}

function twoSay(other: string): OpenMcpError {
  return new OpenMcpError('usage', `--client-id and ${other} both say who we are`, { hint: 'drop one of them' })
}

function hasClientSecret(reading: Reading): boolean {
  const { env } = reading.machine
  return SECRET_OPTIONS.some((name) => allOf(reading, name).length > 0) || [SECRET_VARIABLE, FILE_VARIABLE].some((name) => (env[name] ?? '') !== '')
}

/** From a file, from the command line (with a warning), else from the environment. Undefined: none, or a mistake, which is noted. */
export function clientSecretOf(reading: Reading): string | undefined {
  const { machine, mistakes, warnings } = reading
  const [typed, file] = SECRET_OPTIONS.map((name) => allOf(reading, name)[0])
  if (typed && file) mistakes.add(new OpenMcpError('usage', `${typed.as} and ${file.as} both name the secret`, { hint: `drop ${typed.as}` }))
  if (typed)
    warnings.push(`${typed.as} is on the command line, which other programs of this machine can read; --client-secret-file and ${SECRET_VARIABLE} keep it off`)
  if (file) return oneOf(reading, 'client-secret-file', (path, as) => parseSecret(textOf(machine, as, path), `${as}: the file`))
  if (typed) return oneOf(reading, 'client-secret', (text, as) => parseSecret(text, as))
  const { [SECRET_VARIABLE]: inEnv = '', [FILE_VARIABLE]: fileInEnv = '' } = machine.env
  if (inEnv !== '' && fileInEnv !== '')
    mistakes.add(new OpenMcpError('usage', `${SECRET_VARIABLE} and ${FILE_VARIABLE} both name the secret`, { hint: 'unset one' }))
  if (inEnv !== '') return mistakes.attempt(() => parseSecret(inEnv, SECRET_VARIABLE))
  return fileInEnv === '' ? undefined : mistakes.attempt(() => parseSecret(textOf(machine, FILE_VARIABLE, fileInEnv), `${FILE_VARIABLE}: the file`))
}

export function parseClientId(text: string, as: string): string {
  if (/^[\x21-\x7e]{1,2048}$/.test(text)) return text
  throw new OpenMcpError('usage', `${as} takes the name that the issuer gave the client`)
}

/** Nothing of the text is repeated in a refusal. */
function parseSecret(text: string, where: string): string {
  const secret = text.trim()
  if (/^[\x20-\x7e]{1,2048}$/.test(secret)) return secret
  throw new OpenMcpError('usage', `${where} holds no secret of a client`, { hint: 'one line with the secret and nothing else' })
}

/** What a token is asked for (RFC 8707 §2): as it is written, because an issuer compares it with what it knows. */
export function parseResource(text: string, as: string): string {
  if (RESOURCE_INDICATOR.test(text)) return text.toLowerCase() === 'none' ? 'none' : text
  throw new OpenMcpError('usage', `${as} takes the URL that the issuer knows the server by, or none`, { hint: `${as} https://mcp.example.com/mcp` })
}
