// A configuration fit for eyes: what is secret in it is not shown.
import { isObject } from '../protocol/message.ts'

const MASK = '***'
/** `"AUTH_MODE": "session"`: to leave such a word out of all others would make them unreadable. */
const WORD = /^[A-Za-z]{1,12}$/
const SECRET = /token|key|secret|passw|credential|cookie|auth|\bpat\b/i
/** They name a place, or a limit. */
const NO_SECRETS = new Set([
  'tokenUrl',
  'token_url',
  'tokenLife',
  'jwksUri',
  'keyServer',
  'oauth',
  'cert',
  'key',
  'headerToEnv',
  'forwardHeaders',
  'passEnv',
  'maxHeaders',
])

/** The same with what a name calls secret, or what stands in a place for secrets, made unreadable. Names are left alone. */
export function masked(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return isSecretName(name) ? MASK : maskedText(value)
  if (Array.isArray(value)) return value.map((one: unknown, index) => (isSecretFlag(value[index - 1]) ? MASK : masked(one, name)))
  if (!isObject(value)) return value
  const inside = name === 'env' || name === 'headers'
  return Object.fromEntries(Object.entries(value).map(([member, one]) => [member, inside && SECRET.test(member) ? MASK : masked(one, member)]))
}

/** What is filled in, for eyes: nothing of it is read. */
export const MASKED_FILLING = { env: new Proxy<Record<string, string>>({}, { get: () => MASK }), readText: (): string => MASK }

/** What is masked, as it is: no word about it may hold it. Of `Bearer …` what follows, too. */
export function secretsIn(value: unknown): string[] {
  return hiddenIn(value, masked(value))
    .flatMap((secret) => [secret, secret.split(/\s+/).at(-1) ?? ''])
    .filter((secret) => !WORD.test(secret))
}

function hiddenIn(value: unknown, shown: unknown): string[] {
  if (typeof value === 'string') return shown === MASK ? [value] : []
  if (Array.isArray(value)) return value.flatMap((one: unknown, index) => hiddenIn(one, Array.isArray(shown) ? shown[index] : undefined))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, one]) => hiddenIn(one, isObject(shown) ? shown[name] : undefined))
}

/** Whether a name says that what it stands for is one. */
export function isSecretName(name: string): boolean {
  return !NO_SECRETS.has(name) && (SECRET.test(name) || name.startsWith('file:'))
}

/** `--api-key`: what follows it in a list of arguments is one. */
function isSecretFlag(before: unknown): boolean {
  return typeof before === 'string' && /^--?[\w-]+$/.test(before) && SECRET.test(before)
}

/** `--token=…`, and a URL with a password or a secret in its query. */
function maskedText(text: string): string {
  return text
    .replace(/^(--?[\w-]*(?:token|key|secret|passw|credential|auth)[\w-]*=).*$/is, `$1${MASK}`)
    .replaceAll(/(:\/\/)[^\s/@]+@/g, `$1${MASK}@`)
    .replaceAll(/([?&][^=&#\s]*(?:token|key|secret|passw|credential|auth|code|sig)[^=&#\s]*=)[^&#\s]*/gi, `$1${MASK}`)
    .replaceAll(/\b(bearer|basic|dpop)\s+\S+/gi, `$1 ${MASK}`)
    .replaceAll(/\b(?:eyJ[\w-]+\.[\w-]+\.[\w-]*|(?:sk|ghp|gho|github_pat|xox[abp])[_-][\w-]{8,})/g, MASK)
}
