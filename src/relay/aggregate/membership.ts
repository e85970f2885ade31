// Which servers one session is joined to: those that its caller may reach and that answer, whenever they come.
import { OpenMcpError, toOpenMcpError } from '../../errors.ts'
import type { Log } from '../../observe/log.ts'
import type { Caller } from '../../protocol/caller.ts'
import type { ForwardedHeaders, Link, Text } from '../../protocol/exchange.ts'
import type { JsonObject } from '../../protocol/message.ts'
import { askOf } from './ask.ts'
import { mayReach, within, type Joined, type Member } from './member.ts'

export interface Membership {
  /** In the order in which the members are named. */
  joined(): readonly Joined[]
  /** Joins all that answer `initialize` in time. The others join when they answer. */
  begin(params: JsonObject, headers: ForwardedHeaders): Promise<void>
  /** There are other members now, or other rules: who is new joins, and whoever is gone, or hidden from this caller, leaves. */
  look(): void
  /** The same, for those alone that the session is joined to. */
  lookAtJoined(): void
  close(): Promise<void>
}

export interface MembershipOptions {
  members(): readonly Member[]
  /** Who opened the session: what its servers have for it belongs to this caller. */
  opener: Caller
  /** The same, as the servers' gates are asked about it. */
  caller: Caller
  /** A message of a server that belongs to no request. */
  unsolicited(member: Member, link: Link, text: Text): void
  /** One has come after the session had begun. */
  came(one: Joined): void
  /** One has left, and why; `finish` ends it, at once or when its calls are answered. */
  left(one: Joined, error: OpenMcpError, how: 'ended' | 'replaced'): void
  /** How long a session waits for servers when it begins. */
  patienceMs: number
  log: Log
  now: () => number
}

/** One that does not come along is asked again, ever more seldom; one that stayed so long is asked soon. */
const AGAIN_MS = { first: 1000, most: 60_000 }

export function createMembership({ members, opener, caller, unsolicited, came, left, patienceMs, log, now }: MembershipOptions): Membership {
  const present = new Map<Member, Joined>()
  const joining = new Set<Member>()
  const attempts = new Map<Member, number>()
  const waiting = new Map<Member, NodeJS.Timeout>()
  let begun: { params: JsonObject; headers: ForwardedHeaders } | undefined
  let isAwaited = true
  let isClosed = false

  const isWanted = (member: Member): boolean => !isClosed && members().includes(member) && mayReach(caller, member)

  async function join(member: Member): Promise<void> {
    if (!begun || present.has(member) || joining.has(member)) return
    const { params, headers } = begun
    clearTimeout(waiting.get(member))
    waiting.delete(member)
    joining.add(member)
    let link: Link | undefined
    try {
      link = (await member.messages()).open(
        {
          unsolicited: (text) => link && unsolicited(member, link, text),
          // One that never came along is told by its answer.
          ended: (error) => gone(member, error),
        },
        opener,
      )
      const result = await askOf({ member, link }, caller, headers)('initialize', params)
      if (!isWanted(member)) throw new OpenMcpError('stopping', 'it is not served any more')
      const one = { member, link, result, sinceMs: now() }
      present.set(member, one)
      if (!isAwaited) came(one)
    } catch (thrown) {
      void link?.close()
      if (!isWanted(member)) return
      log.warn(`the server ${member.name} is left out of a session: ${toOpenMcpError(thrown).message}`)
      later(member)
    } finally {
      joining.delete(member)
    }
  }

  function later(member: Member): void {
    const count = attempts.get(member) ?? 0
    attempts.set(member, count + 1)
    const timer = setTimeout(() => void (isWanted(member) && join(member)), Math.min(AGAIN_MS.most, AGAIN_MS.first * 2 ** count))
    timer.unref()
    waiting.set(member, timer)
  }

  function gone(member: Member, error: OpenMcpError): void {
    const one = present.get(member)
    if (!one) return
    present.delete(member)
    log.warn(`the server ${member.name} has left a session: ${error.message}`)
    left(one, error, 'ended')
    if (now() - one.sinceMs >= AGAIN_MS.most) attempts.delete(member)
    if (isWanted(member)) later(member)
  }

  function leave(one: Joined): void {
    present.delete(one.member)
    const isReplaced = members().some((member) => member.name === one.member.name && mayReach(caller, member))
    left(one, new OpenMcpError('session_ended', `the server ${one.member.name} is not served any more`), isReplaced ? 'replaced' : 'ended')
  }

  return {
    joined: () => members().flatMap((member) => present.get(member) ?? []),
    async begin(params, headers) {
      begun = { params, headers }
      const all = Promise.all(members().filter(isWanted).map(join))
      await within(patienceMs, all).catch(() => {})
      isAwaited = false
    },
    look() {
      if (!begun) return
      for (const one of present.values()) if (!isWanted(one.member)) leave(one)
      for (const [member, timer] of waiting) {
        if (isWanted(member)) continue
        clearTimeout(timer)
        waiting.delete(member)
      }
      for (const member of members()) if (isWanted(member) && !waiting.has(member)) void join(member)
    },
    lookAtJoined() {
      for (const one of present.values()) if (!isWanted(one.member)) leave(one)
    },
    async close() {
      isClosed = true
      for (const timer of waiting.values()) clearTimeout(timer)
      await Promise.all(Array.from(present.values(), ({ link }) => link.close()))
    },
  }
}
