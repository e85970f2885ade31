// DIR/identities: one private file for each identity of our own.
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'

import { OpenMcpError } from '../errors.ts'
import { algorithmOf, formsOf, parseIdentityFile, textOf, type IdentityFile, type IdentityKey } from './own-identity-file.ts'
import { checkPrivateDirectory, createPrivateFile, makePrivateDirectory, readPrivateFile, removeLeftovers, replacePrivateFile } from './private-files.ts'
import type { OwnIdentity } from './shapes.ts'
import { methodOf } from './vid.ts'

export interface NamedIdentity {
  dir: string
  name: string
  now: () => number
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
const platform = process.platform

export async function addIdentityFile({ dir, name, now }: NamedIdentity, file: IdentityFile): Promise<OwnIdentity> {
  const path = pathOf(dir, name)
  await makePrivateDirectory(dir, platform)
  await makePrivateDirectory(join(dir, 'identities'), platform)
  await removeLeftovers(join(dir, 'identities'), now())
  if (await createPrivateFile(path, textOf(file))) return identityOf(name, file)
  throw new OpenMcpError('usage', `there is an identity ${name} already`, { hint: 'give this one another name' })
}

export async function replaceIdentityFile({ dir, name }: Pick<NamedIdentity, 'dir' | 'name'>, file: IdentityFile): Promise<OwnIdentity> {
  await replacePrivateFile(pathOf(dir, name), textOf(file))
  return identityOf(name, file)
}

export async function readIdentityFile(dir: string, name: string): Promise<IdentityFile> {
  const path = pathOf(dir, name)
  for (const directory of [dir, join(dir, 'identities')]) await checkPrivateDirectory(directory, platform).catch(rethrowUnlessMissing(name))
  return parseIdentityFile(await readPrivateFile(path, platform).catch(rethrowUnlessMissing(name)), path)
}

export async function hasIdentityFile(dir: string, name: string): Promise<boolean> {
  return lstat(pathOf(dir, name)).then(
    () => true,
    (thrown: unknown) => {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return false
      throw new OpenMcpError('keys_unsafe', `${pathOf(dir, name)} cannot be read`, { cause: thrown })
    },
  )
}

function rethrowUnlessMissing(name: string): (thrown: unknown) => never {
  return (thrown) => {
    const cause = thrown instanceof Error ? thrown.cause : undefined
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw thrown
    throw new OpenMcpError('usage', `there is no identity ${name}`, { hint: 'openmcp id list says which there are, openmcp id create makes one' })
  }
}

export function pathOf(dir: string, name: string): string {
  if (NAME.test(name)) return join(dir, 'identities', `${name}.json`)
  throw new OpenMcpError('usage', 'the name of an identity is up to 64 of a-z, 0-9, dot, hyphen and underscore, and begins with a letter or a digit')
}

export function identityOf(name: string, file: IdentityFile): OwnIdentity {
  const { kid, jwk } = signingKey(name, file)
  const { vid, createdAt, deactivatedAt, tsp } = file
  const long = tsp && methodOf(vid) === 'peer' ? formsOf(jwk.x, tsp).long : vid
  return {
    name,
    vid,
    kid,
    alg: algorithmOf(jwk),
    createdAtMs: Date.parse(createdAt),
    deactivated: deactivatedAt !== undefined,
    long,
    ...(tsp && { endpoint: tsp.endpoint }),
  }
}

export function active(name: string, file: IdentityFile): IdentityFile {
  if (file.deactivatedAt === undefined) return file
  throw new OpenMcpError('usage', `the identity ${name} is deactivated`, { hint: 'openmcp id create makes another' })
}

export function signingKey(name: string, { keys: [first] }: IdentityFile): IdentityKey & { d: string } {
  if (first?.d === undefined) throw new OpenMcpError('keys_unsafe', `the identity ${name} has no key to sign with`)
  return { ...first, d: first.d }
}
