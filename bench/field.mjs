// The peers of one mode that run at this moment. One that ends by itself, or keeps a core busy while nobody asks it anything, is
// noted and started afresh: it would spoil the slices of the others.
import { startPeer } from './lib/start-peer.mjs'
import { cpuOf } from './lib/proc.mjs'
import { rounded } from './lib/numbers.mjs'
import { sleep } from './lib/time.mjs'

const BUSY_CORES = 0.4

/** Measurements of starting and stopping go to `put(row)`, words for people to `say`. */
export function createField({ mode, peers, program, put, say }) {
  const running = new Map()
  const note = (peer, scenario, row) => put({ mode, peer: peer.name, scenario, ...row })

  const field = {
    peers,
    running,
    /** The running peers, a different one first each time. */
    turn: (k) => rotated([...running], k),

    async start(peer, rep) {
      try {
        const started = await startPeer(peer, { program })
        running.set(peer, started)
        if (rep !== undefined) note(peer, 'cold', { rep, coldMs: rounded(started.coldMs) })
      } catch (error) {
        note(peer, 'start', { error: error.message.slice(0, 400) })
        say(`${peer.name} did not start: ${error.message.slice(0, 200)}`)
      }
    },
    async stop(peer) {
      const started = running.get(peer)
      running.delete(peer)
      const { inTime, left } = await started.stop()
      if (!inTime || left > 0) note(peer, 'stop', { inTime, left })
    },
    stopAll: () => Promise.all([...running.keys()].map((peer) => field.stop(peer))),

    /** Leaves nothing behind that disturbs what comes next. */
    async tidy(after) {
      const all = [...running]
      for (const [peer, { exit, stderr }] of all) {
        if (exit() === null) continue
        note(peer, after, { ended: exit(), stderr: stderr().slice(-300) })
        say(`${peer.name} ended by itself during ${after}: ${JSON.stringify(exit())}`)
        await restart(peer)
      }
      await sleep(150)
      const suspects = await busyOnes([...running], 300)
      if (suspects.length === 0) return
      await sleep(1200) // a collection of garbage is over by then
      for (const [peer, , cores] of await busyOnes(suspects, 500)) {
        note(peer, after, { busyCores: rounded(cores) })
        say(`${peer.name} keeps ${cores.toFixed(1)} cores busy after ${after}, starting it afresh`)
        await restart(peer)
      }
    },
  }
  return field

  async function restart(peer) {
    await field.stop(peer)
    await field.start(peer)
  }
}

export const rotated = (all, k) => all.map((_, i) => all[(i + k) % all.length])

// Of [peer, started] those that use the processor, each with how many cores.
async function busyOnes(all, ms) {
  const before = all.map(([, started]) => cpuSecondsOf(started))
  const sinceMs = performance.now()
  await sleep(ms)
  const seconds = (performance.now() - sinceMs) / 1000
  return all.map(([peer, started], i) => [peer, started, (cpuSecondsOf(started) - before[i]) / seconds]).filter(([, , cores]) => cores > BUSY_CORES)
}

// Where every session is a process of its own, none runs between scenarios.
function cpuSecondsOf(started) {
  const { seconds, childrenSeconds } = cpuOf(started.pids({ live: [] }))
  return seconds + childrenSeconds
}
