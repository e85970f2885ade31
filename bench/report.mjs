// Tables out of the rows of one or more runs.
import { MODES, PEERS, REFERENCE } from './peers.mjs'
import { SCENARIOS, sessionsFor } from './scenarios.mjs'
import { judge } from './targets.mjs'
import { resultsOf } from './results.mjs'
import { TSP_SCENARIOS } from './tsp.mjs'
import { ascending, median } from './lib/numbers.mjs'

const CALL_KINDS = new Set(['calls', 'cross', 'mint'])

/** Markdown: per mode what each peer did, how they compare, what went wrong, and last which targets were reached. */
export function report(rows) {
  const modes = MODES.filter((mode) => rows.some((row) => row.mode === mode && row.peer))
  const tsp = rows.some((row) => row.mode === 'tsp') ? tspReport(rows) : []
  return [...rows.flatMap(heading), ...tsp, ...modes.flatMap((mode) => modeReport(rows, mode))].join('\n')
}

const titled = (title, lines) => (lines ? [`**${title}**\n`, lines] : [])

function heading({ run, machine, effort, rebuilt }) {
  if (rebuilt) return [`openmcp was built anew during the run of ${run}: its figures are a mixture\n`]
  return machine ? [`Run of ${run}: ${machine}; ${effort}\n`] : []
}

function modeReport(rows, mode) {
  const results = resultsOf(rows, mode)
  const reference = REFERENCE[mode]
  return [
    `## ${mode}\n`,
    ...SCENARIOS.filter(({ kind }) => CALL_KINDS.has(kind)).flatMap((scenario) =>
      titled(`${scenario.name}: ${scenario.title}${fewer(scenario, mode)}`, callTable(results, scenario.name)),
    ),
    ...titled('notify: progress notifications, one session, 1000 per call', notifyTable(results)),
    ...titled('start and open', openTable(results)),
    ...titled('idle: memory of open sessions, MB', idleTable(results)),
    ...titled(
      `calls per second, as a multiple of ${reference}`,
      ratioTable(results, results.peers, (peer) => [peer, reference]),
    ),
    ...openmcpPeers(results).flatMap((ours) =>
      titled(
        `${ours} as a multiple of each other one`,
        ratioTable(
          results,
          results.peers.filter((peer) => peer !== ours),
          (peer) => [ours, peer],
        ),
      ),
    ),
    ...remarks(results),
    ...titled('targets', targetTable(rows, mode)),
  ]
}

function tspReport(rows) {
  const results = resultsOf(rows, 'tsp')
  return [
    '## tsp\n',
    ...TSP_SCENARIOS.flatMap(({ name, title }) => titled(`${name}: ${title}`, tspTable(results, name))),
    ...remarks(results),
    ...titled('targets', targetTable(rows, 'tsp')),
  ]
}

function tspTable(results, scenario) {
  const lines = results.peers
    .filter((peer) => results.rows(peer, scenario).length > 0)
    .map((peer) => {
      const at = (column) => shown(results.median(peer, scenario, column))
      const speeds = results.rows(peer, scenario).map((row) => row.perSecond)
      return [peer, at('perSecond'), spread(speeds), at('perCpuSecond'), at('p50Ms'), at('p95Ms')]
    })
  return table(['', 'per second', 'min–max', 'per second of CPU', 'p50 ms', 'p95 ms'], lines)
}

function fewer(scenario, mode) {
  const sessions = sessionsFor(scenario, PEERS.find((peer) => peer.mode === mode).face)
  return sessions === scenario.sessions ? '' : ` (here ${sessions} sessions, each a process of its own)`
}

function callTable(results, scenario) {
  const lines = results.peers.flatMap((peer) => {
    const rows = results.rows(peer, scenario)
    if (rows.length === 0) return []
    const at = (column) => shown(results.median(peer, scenario, column))
    const speeds = rows.map((row) => row.perSecond)
    return [
      [peer, at('perSecond'), spread(speeds), at('p50Ms'), at('p95Ms'), at('p99Ms'), at('cpuUs'), at('childrenCpuUs'), at('generatorCpuUs')].concat([
        String(results.total(peer, scenario, 'foreign')),
        errorsOf(rows),
      ]),
    ]
  })
  const cpu = ['proxy', 'children', 'generator'].map((who) => `CPU µs, ${who}`)
  return table(['', 'calls/s', 'min–max', 'p50 ms', 'p95 ms', 'p99 ms', ...cpu, 'foreign frames', 'errors'], lines)
}

function notifyTable(results) {
  const lines = results.peers.flatMap((peer) => {
    const rows = results.rows(peer, 'notify')
    if (rows.length === 0) return []
    const [sent, lost] = [results.total(peer, 'notify', 'sent'), results.total(peer, 'notify', 'lost')]
    const perNotificationUs = median(rows.map((row) => (row.cpuUs * row.calls) / (row.sent - row.lost)))
    return [
      [
        peer,
        shown(results.median(peer, 'notify', 'perSecond')),
        spread(rows.map((row) => row.perSecond)),
        sent > 0 ? `${lost} of ${sent}` : '–',
        shown(perNotificationUs),
        errorsOf(rows),
      ],
    ]
  })
  return table(['', 'notifications/s', 'min–max', 'lost', 'CPU µs each, proxy', 'errors'], lines)
}

function openTable(results) {
  const measured = results.peers.filter((peer) => results.rows(peer, 'cold').length + results.rows(peer, 'open').length > 0)
  const lines = measured.map((peer) => {
    const [cold, open] = [results.rows(peer, 'cold'), results.rows(peer, 'open')]
    return [
      peer,
      shown(results.median(peer, 'cold', 'coldMs')),
      spread(cold.map((row) => row.coldMs)),
      shown(results.median(peer, 'open', 'perSecond')),
      shown(results.median(peer, 'open', 'p50Ms')),
      shown(results.median(peer, 'open', 'p95Ms')),
      errorsOf([...cold, ...open]),
    ]
  })
  return table(['', 'start to first answer, ms', 'min–max', 'sessions/s', 'open p50 ms', 'open p95 ms', 'errors'], lines)
}

function idleTable(results) {
  const lines = results.peers.flatMap((peer) => {
    const rows = results.rows(peer, 'idle')
    if (rows.length === 0) return []
    const columns = ['sessions', 'emptyMb', 'fullMb', 'proxyMbPer100', 'childrenMbPer100', 'children']
    return [[peer, ...columns.map((column) => shown(results.median(peer, 'idle', column))), errorsOf(rows)]]
  })
  const head = ['', 'sessions', 'proxy before', 'proxy with them', 'proxy grows per 100', 'children grow per 100', 'children', 'errors']
  return table(head, lines)
}

function ratioTable(results, peers, pairOf) {
  const columns = SCENARIOS.filter(({ kind }) => kind !== 'cold' && kind !== 'idle' && kind !== 'cross')
    .map(({ name }) => name)
    .filter((name) => results.all.some((row) => row.scenario === name && row.perSecond > 0))
  if (columns.length === 0) return null
  const cell = (peer, scenario) => {
    const [a, b] = pairOf(peer)
    return a === b ? '1' : shown(results.ratio(a, b, scenario))
  }
  return table(
    ['', ...columns],
    peers.map((peer) => [peer, ...columns.map((scenario) => cell(peer, scenario))]),
  )
}

function remarks(results) {
  const lines = results.all.flatMap((row) => {
    const about = `${row.peer}, ${row.scenario}: `
    if (row.scenario === 'start') return [`${row.peer} did not start: ${row.error}`]
    if (row.ended) return [`${about}ended by itself ${JSON.stringify(row.ended)} ${row.stderr}`]
    if (row.busyCores) return [`${about}kept ${row.busyCores} cores busy while idle and was started afresh`]
    if (row.scenario === 'stop') return [`${row.peer}: ${row.inTime ? '' : 'did not end on SIGTERM; '}${row.left} processes left behind`]
    if (row.skipped) return [`${row.peer ?? row.scenario} skipped: ${row.skipped}`]
    return []
  })
  const share = (column) => {
    const sorted = ascending(results.all.map((row) => row[column]))
    return `median ${shown(median(sorted))} %, most ${shown(sorted.at(-1))} %`
  }
  if (results.all.some((row) => row.stolenPercent !== undefined)) {
    lines.push(`CPU time of the machine during the slices used by others: ${share('othersPercent')}; taken by its host: ${share('stolenPercent')}`)
  }
  const counts = new Map()
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1)
  return [...counts].map(([line, n]) => `- ${line.trim()}${n > 1 ? ` (${n} times)` : ''}`).concat('')
}

function targetTable(rows, mode) {
  const lines = judge(rows, mode).map(({ target, wanted, measured, verdict }) => [target, wanted, measured, verdict])
  return table(['', 'wanted', 'measured', 'reached'], lines)
}

const openmcpPeers = (results) => PEERS.filter(({ name, role }) => role === 'openmcp' && results.peers.includes(name)).map(({ name }) => name)

function errorsOf(rows) {
  const counts = new Map()
  for (const { errors = {}, error } of rows) {
    for (const [kind, n] of Object.entries(errors)) counts.set(kind, (counts.get(kind) ?? 0) + n)
    if (error) counts.set(error.slice(0, 60), (counts.get(error.slice(0, 60)) ?? 0) + 1)
  }
  return [...counts].map(([kind, n]) => `${n} × ${kind.replaceAll(/[|\n]/g, ' ')}`).join(', ') || '0'
}

function table(head, lines) {
  if (lines.length === 0) return null
  const rule = head.map((_, i) => (i === 0 ? '---' : '--:'))
  return [head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function spread(values) {
  const sorted = ascending(values)
  return sorted.length > 1 ? `${shown(sorted[0])}–${shown(sorted.at(-1))}` : '–'
}

function shown(value) {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  return value.toFixed(size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2)
}
