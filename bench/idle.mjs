// Memory of open idle sessions: each peer on its own, in a fresh process, before and with its sessions.
import { startPeer } from './lib/start-peer.mjs'
import { openSessions } from './lib/load.mjs'
import { memoryOf } from './lib/proc.mjs'
import { rounded, sum } from './lib/numbers.mjs'
import { sleep } from './lib/time.mjs'
import { sessionsFor } from './scenarios.mjs'

/** Tells for each peer what it takes before, with and per 100 of its sessions. */
export async function measureIdle({ field, program, put, secondsLeft }, scenario) {
  for (const peer of field.peers) {
    if (secondsLeft() < 15) return
    let started
    try {
      started = await startPeer(peer, { program, collectable: true })
      put(peer, scenario.name, { rep: 0, ...(await growthOf(peer, started, scenario)) })
    } catch (error) {
      put(peer, scenario.name, { error: error.message.slice(0, 160) })
    } finally {
      await started?.stop()
    }
  }
}

// The slope between a few sessions and all of them: what a proxy takes once, whoever comes, is not what a session costs.
async function growthOf(peer, started, scenario) {
  const target = started.target()
  const look = () => settledMemory(started, target)
  const opened = []
  const openUntil = async (wanted) => {
    const have = sum(opened.map(({ calls }) => calls))
    const { counted } = await openSessions(target, wanted - have, { maxMs: 25_000, listen: true })
    opened.push(counted)
    return have + counted.calls
  }
  try {
    const empty = await look()
    let all = sessionsFor(scenario, peer.face)
    let few = await openUntil(Math.ceil(all / 5))
    let some = await look()
    const hasChildEach = peer.face === 'stdio' || some.children - empty.children >= few
    if (!hasChildEach) {
      all = scenario.cheapSessions
      few = await openUntil(all / 5)
      some = await look()
    }
    const sessions = await openUntil(all)
    const full = await look()
    const per100 = (column) => rounded((100 * (full[column] - some[column])) / (sessions - few))
    return {
      sessions,
      failed: sum(opened.map(({ failed }) => failed)),
      errors: opened.findLast(({ errors }) => errors)?.errors,
      emptyMb: rounded(empty.mb),
      fullMb: rounded(full.mb),
      proxyMbPer100: per100('mb'),
      childrenMbPer100: per100('childrenMb'),
      children: full.children,
    }
  } finally {
    await target.end()
  }
}

// Twice: what closes while the first collection runs is garbage of the second.
async function settledMemory(started, target) {
  await sleep(200)
  for (let i = 0; i < 2; i++) {
    started.collectGarbage(target)
    await sleep(200)
  }
  return memoryOf(started.pids(target))
}
