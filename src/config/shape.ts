// What a file may hold, said once: from one shape come the check, the typed value and the JSON schema that editors complete with.
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { At } from './at.ts'
import { nearestOf } from './nearest.ts'

export interface Shape<T> {
  /** Undefined when a mistake was told. */
  read(value: unknown, at: At): T | undefined
  readonly schema: JsonObject
}

const MAX_TEXT = 32 * 1024

export function text({ from = 1, to = MAX_TEXT, pattern, says }: { from?: number; to?: number; pattern?: RegExp; says?: string } = {}): Shape<string> {
  const words = says ?? (from === 0 ? `must be a text of at most ${to} characters` : `must be a text of ${from} to ${to} characters`)
  return {
    read: (value, at) =>
      typeof value === 'string' && value.length >= from && value.length <= to && (pattern?.test(value) ?? true) ? value : at.mistake(words),
    schema: { type: 'string', ...(from > 0 && { minLength: from }), ...(pattern && { pattern: pattern.source }) },
  }
}

export function yesOrNo(): Shape<boolean> {
  return { read: (value, at) => (typeof value === 'boolean' ? value : at.mistake('must be true or false')), schema: { type: 'boolean' } }
}

export function number({ from, to, whole = false, says }: { from: number; to: number; whole?: boolean; says?: string }): Shape<number> {
  const words = says ?? `must be a ${whole ? 'whole number' : 'number'} from ${from} to ${to}`
  return {
    read: (value, at) => (typeof value === 'number' && value >= from && value <= to && (!whole || Number.isInteger(value)) ? value : at.mistake(words)),
    schema: { type: whole ? 'integer' : 'number', minimum: from, maximum: to },
  }
}

/** One of some words. `aliases` are other spellings that people bring along. */
export function choice<const T extends string>(words: readonly T[], aliases: Readonly<Record<string, T>> = {}): Shape<T> {
  const spellings = new Map<string, T>([...Object.entries(aliases), ...words.map((word): [string, T] => [word, word])])
  return {
    read: (value, at) => (typeof value === 'string' ? spellings.get(value) : undefined) ?? at.mistake(`must be one of ${words.join(', ')}`),
    schema: { enum: [...words, ...Object.keys(aliases)] },
  }
}

export function listOf<T>(item: Shape<T>, { to = 1000 }: { to?: number } = {}): Shape<readonly T[]> {
  return {
    read(value, at) {
      if (!Array.isArray(value)) return at.mistake('must be a list')
      if (value.length > to) return at.mistake(`has more than ${to} entries`)
      const items = value.map((one: unknown, index) => item.read(one, at.item(index)))
      return allThere(items) ? items : undefined
    },
    schema: { type: 'array', items: item.schema },
  }
}

export interface MapShape<T> extends Shape<ReadonlyMap<string, T>> {
  /** Those that are right, whatever the others are. */
  readRight(value: unknown, at: At): ReadonlyMap<string, T>
}

/** An object whose names are the writer's own. */
export function mapOf<T>(value: Shape<T>, wrongName: (name: string) => string | undefined = () => undefined): MapShape<T> {
  function look(given: unknown, at: At): { right: ReadonlyMap<string, T>; isRight: boolean } {
    const members = membersOf(given, at)
    const right = new Map<string, T>()
    for (const [name, member] of members ?? []) {
      const here = at.member(name)
      const wrong = wrongName(name)
      const read = wrong === undefined ? value.read(member, here) : here.mistake(wrong)
      if (read !== undefined) right.set(name, read)
    }
    return { right, isRight: right.size === members?.size }
  }

  return {
    read(given, at) {
      const { right, isRight } = look(given, at)
      return isRight ? right : undefined
    },
    readRight: (given, at) => look(given, at).right,
    schema: { type: 'object', additionalProperties: value.schema },
  }
}

type Shapes = Readonly<Record<string, Shape<unknown>>>
type ReadOf<S> = S extends Shape<infer T> ? T : never
export type Members<M extends Shapes> = { readonly [K in keyof M]?: ReadOf<M[K]> }

export interface ObjectRules<M extends Shapes> {
  required?: readonly (keyof M & string)[]
  /** Other spellings of names; two of one name are a mistake. */
  aliases?: Readonly<Record<string, keyof M & string>>
  /** Known from elsewhere and of no meaning here: told as a warning, with these words. */
  idle?: Readonly<Record<string, string>>
}

export interface ObjectShape<M extends Shapes> extends Shape<Members<M>> {
  /** Those members that are right, whatever the others are. */
  readRight(value: unknown, at: At): Members<M>
}

/** An object with these names and no others. */
export function object<M extends Shapes>(members: M, { required = [], aliases = {}, idle = {} }: ObjectRules<M> = {}): ObjectShape<M> {
  const shapes = new Map(Object.entries(members))
  const nameFor = new Map(Object.entries(aliases))

  function look(given: unknown, at: At): { seen: Members<M>; isRight: boolean } {
    const seen = new Map<string, unknown>()
    const there = membersOf(given, at)
    let isRight = there !== undefined
    const wrong = (place: At, words: string): void => {
      isRight = false
      place.mistake(words)
    }
    for (const [typed, value] of there ?? []) {
      const here = at.member(typed)
      const name = nameFor.get(typed) ?? typed
      const shape = shapes.get(name)
      if (!shape) {
        const words = Object.hasOwn(idle, typed) ? idle[typed] : undefined
        if (words === undefined) wrong(here, `is not known; ${meant(typed, [...shapes.keys()])}`)
        else here.warn(words)
      } else if (seen.has(name)) wrong(here, `says again what ${name} says`)
      else {
        const read = shape.read(value, here)
        if (read === undefined) isRight = false
        seen.set(name, read)
      }
    }
    if (there) for (const name of required) if (!seen.has(name)) wrong(at.member(name), 'is missing')
    return { seen: Object.fromEntries(seen) as Members<M>, isRight } // each was read by the shape of its name
  }

  return {
    read(given, at) {
      const { seen, isRight } = look(given, at)
      return isRight ? seen : undefined
    },
    readRight: (given, at) => look(given, at).seen,
    schema: {
      type: 'object',
      properties: Object.fromEntries([...shapes].map(([name, { schema }]) => [name, schema])),
      ...(required.length > 0 && { required: [...required] }),
      additionalProperties: false,
    },
  }
}

/** The same shape with a meaning that is looked at after it: undefined when that told a mistake. */
export function meaning<T, U>(shape: Shape<T>, look: (value: T, at: At) => U | undefined): Shape<U> {
  return {
    read(value, at) {
      const read = shape.read(value, at)
      return read === undefined ? undefined : look(read, at)
    },
    schema: shape.schema,
  }
}

/** Words for people, in the schema and the documentation. */
export function about<T>(description: string, shape: Shape<T>): Shape<T> {
  return { ...shape, schema: { ...shape.schema, description } }
}

/** A long list helps nobody who has mistyped one word. */
function meant(typed: string, names: readonly string[]): string {
  const nearest = nearestOf(typed, names)
  return nearest === undefined ? `there is ${names.join(', ')}` : `did you mean ${nearest}`
}

function membersOf(value: unknown, at: At): ReadonlyMap<string, unknown> | undefined {
  if (isObject(value)) return new Map(Object.entries(value))
  return at.mistake(at.path === '' ? 'is not an object' : 'must be an object')
}

function allThere<T>(items: readonly (T | undefined)[]): items is T[] {
  return items.every((item) => item !== undefined)
}
