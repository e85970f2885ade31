// What the ways in ask before they hand a message on, and what they do to its answer. The relay decides.
import type { OpenMcpError } from '../errors.ts'
import type { Caller } from './caller.ts'
import type { Reply } from './exchange.ts'
import type { Post } from './message.ts'

export interface Gate {
  /**
   * Why this post goes no further: `insufficient_scope` for the whole of it, or what a message in it names does not exist for this
   * caller. Undefined: it may pass. `NO_MESSAGES`: whether this caller may have anything open here.
   */
  refusalOf(caller: Caller, post: Post): OpenMcpError | undefined
  /**
   * Whether answers to this caller have to be read, because lists may hold what it may not use. Those to a post of the 2026-07-28
   * revision also when they may say that a list, which is another for every caller, is the same for all (`cacheScope`).
   */
  readsAnswers(caller: Caller, modernPost?: Post): boolean
  /** The same reply, from which lists go out without what this caller may not use. An answer that cannot be read becomes a failure. */
  filtered(caller: Caller, post: Post, reply: Reply): Reply
}
