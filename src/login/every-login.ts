// All logins that are kept, for the operator: those that are for all, and those of callers of their own.
import { callersLogins, createLogins, type LoginsOptions, type Logins } from './logins.ts'

type Listed = Awaited<ReturnType<Logins['list']>>
/** Where it is kept, and can be ended. */
type In<T> = T & { logins: Logins }

export interface EveryLogin {
  readonly kept: readonly In<Listed['kept'][number]>[]
  readonly unreadable: readonly In<Listed['unreadable'][number]>[]
}

export async function everyLogin(where: Pick<LoginsOptions, 'directory' | 'now'>): Promise<EveryLogin> {
  const places = [createLogins(where), ...(await callersLogins(where))]
  const listed = await Promise.all(places.map(async (logins) => ({ logins, ...(await logins.list()) })))
  return {
    kept: listed.flatMap(({ logins, kept }) => kept.map((one) => ({ ...one, logins }))),
    unreadable: listed.flatMap(({ logins, unreadable }) => unreadable.map((one) => ({ ...one, logins }))),
  }
}
