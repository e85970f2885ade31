// What is asked of every peer. The order is that of the run: what the targets need comes first, so that a run which has to stop
// early has judged most of them; the `brief` ones behind them get half the slices. Where every session is a whole proxy process
// (HTTP → stdio), there are `processes` of them.

export const SCENARIOS = [
  { name: 'cold', kind: 'cold', title: 'start to first answer' },
  { name: 'idle', kind: 'idle', sessions: 100, cheapSessions: 500, processes: 4, title: 'memory of open idle sessions' },
  calls('seq16', '16 sessions, one call at a time each, 100 B', { sessions: 16, inflight: 1, bytes: 100 }),
  calls('echo4m', '1 session, 4 MiB there and back', { sessions: 1, inflight: 1, bytes: 4 * 1024 * 1024 }),
  {
    name: 'notify',
    kind: 'notify',
    sessions: 1,
    processes: 1,
    notifications: 1000,
    title: '1 session, 1000 progress notifications per call',
  },
  {
    name: 'cross',
    kind: 'cross',
    sessions: 8,
    processes: 4,
    brief: true,
    title: '8 sessions with the same ids and progress tokens at once: what reaches the wrong one',
  },
  calls('seq1', '1 session, one call at a time, 100 B', { sessions: 1, inflight: 1, bytes: 100, brief: true }),
  calls('pipe', '4 sessions, 16 calls in flight each, 100 B', { sessions: 4, inflight: 16, bytes: 100, brief: true }),
  calls('blob100k', '4 sessions, answers of 100 KB', { sessions: 4, inflight: 1, bytes: 100_000, tool: 'blob', brief: true }),
  { name: 'open', kind: 'open', sessions: 1500, processes: 0, title: 'sessions opened, eight at once' },
  { name: 'mint', kind: 'mint', sessions: 1, inflight: 32, title: 'tokens by jwt-bearer at /token, 32 requests in flight', modes: ['guard'] },
]

/** What it costs to ask who calls shows in few of them. */
const ASKING = ['seq16', 'seq1', 'mint']
export const isAsking = (mode) => mode === 'guard' || mode === 'keys'

/** As REST a call is all there is. */
const REST = ['seq16', 'seq1', 'pipe', 'echo4m']
const measuredIn = (mode) => (isAsking(mode) ? ASKING : mode === 'openapi' ? REST : undefined)

export function scenariosOf(mode) {
  const measured = measuredIn(mode)
  return SCENARIOS.filter(({ name, modes = [mode] }) => modes.includes(mode) && (measured?.includes(name) ?? true))
}

/** How many sessions a peer of this face is asked to hold. */
export const sessionsFor = (scenario, face) => (face === 'stdio' ? scenario.processes : scenario.sessions)

function calls(name, title, load) {
  return { name, kind: 'calls', title, processes: Math.min(load.sessions, 4), ...load }
}
