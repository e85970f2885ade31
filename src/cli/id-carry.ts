// `openmcp id export` and `openmcp id import`: an identity goes to another machine or to another program, and comes from there.
import { OpenMcpError } from '../errors.ts'
import { membersOf, parseJson } from '../identity/json.ts'
import { exportIdentity, importIdentity } from '../identity/own-identities.ts'
import { importPiv, openTspIdentity } from '../identity/tsp/own.ts'
import { pivOf } from '../identity/tsp/piv.ts'
import type { Vid } from '../identity/vid.ts'
import type { Asked } from './id-asked.ts'
import type { Io } from './io.ts'
import { textOf } from './machine.ts'
import { allOf } from './target-options.ts'
import { print, say, warn } from './terminal.ts'

const MOST_BYTES = 64 * 1024

export async function exported({ word: name, keys, reading, io }: Asked): Promise<void> {
  const [withPrivateKey, isPiv] = ['private', 'piv'].map((option) => allOf(reading, option).length > 0)
  if (withPrivateKey && isPiv) {
    reading.mistakes.add(
      new OpenMcpError('usage', '--private and --piv are two forms of the same', { hint: `openmcp id export ${name} --piv is what other programs read` }),
    )
  }
  reading.mistakes.throwIfAny()
  const text = isPiv
    ? pivOf(await openTspIdentity(keys, name))
    : `${JSON.stringify(await exportIdentity(keys, name, { withPrivateKey: withPrivateKey === true }), null, 2)}\n`
  if (withPrivateKey || isPiv) warn(io, `what is printed is the private key of ${name}: whoever reads it is ${name}, everywhere and for good`)
  await print(io, text)
}

/** From a file or from stdin, and never from argv, which others on the machine can read. */
export async function imported({ word: name, second: path = '-', keys: dir, reading, now, io }: Asked): Promise<void> {
  const file = path === '-' ? undefined : reading.mistakes.attempt(() => textOf(reading.machine, 'openmcp id import', path))
  reading.mistakes.throwIfAny()
  if (file === undefined && 'isTTY' in io.stdin && io.stdin.isTTY === true) say(io, 'reads what is pasted here, up to the end of it (Ctrl-D)')
  const text = file ?? (await read(io.stdin))
  if (Buffer.byteLength(text) > MOST_BYTES) throw tooLong()
  const { vid, long } = await taken({ dir, name, now }, parsed(text))
  await print(io, `${long}\n`)
  say(io, `${name} is ${vid}; whoever has what it came from is it as well`)
}

/** What tsp_sdk writes has `id`, and what we do has `vid`. */
async function taken(named: { dir: string; name: string; now: () => number }, value: unknown): Promise<{ vid: Vid; long: Vid }> {
  const members = membersOf(value)
  const [isPiv, isOurs] = [members?.has('id') === true, members?.has('vid') === true]
  if (isPiv === isOurs) {
    throw new OpenMcpError('identity_invalid', 'this is neither a piv.json nor an exported identity', { hint: 'openmcp id export NAME --private prints one' })
  }
  return isPiv ? importPiv({ ...named, piv: value }) : importIdentity({ ...named, exported: value })
}

async function read(stdin: Io['stdin']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    const piece = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    bytes += piece.length
    if (bytes > MOST_BYTES) throw tooLong()
    chunks.push(piece)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return parseJson(text)
  } catch (thrown) {
    // Without its cause: the words of the parser quote the text, which holds a key.
    if (!(thrown instanceof OpenMcpError)) throw thrown
    throw new OpenMcpError(thrown.code, `what is imported is refused: ${thrown.message}`, { hint: 'openmcp id export NAME --private prints an identity' })
  }
}

function tooLong(): OpenMcpError {
  return new OpenMcpError('identity_invalid', `what is imported is longer than ${MOST_BYTES / 1024} KiB`)
}
