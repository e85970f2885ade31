// What openmcp has to reach, and the verdict on a run. What was not measured is never a yes.
import { resultsOf } from './results.mjs'

const COLD_LIMIT = 1.7
const IDLE_LIMIT_KB = 40

const TARGETS = {
  'stdio-streamable': [
    atLeast('openmcp', 5, 'supergateway', 'seq16'),
    atLeast('openmcp', 5, 'mcp-proxy', 'seq16'),
    atLeast('openmcp', 0.6, 'floor-stdio', 'seq16'),
    atLeast('openmcp', 0.7, 'floor-stdio', 'echo4m'),
    notifications('openmcp', 0.5, 'floor-stdio'),
    coldStart('openmcp', 'floor-stdio'),
    idleMemory('openmcp', 'floor-stdio'),
    noForeignFrames('openmcp', 'openmcp-isolated'),
  ],
  'stdio-sse': [atLeast('openmcp-sse', 3, 'supergateway-sse', 'seq16'), atLeast('openmcp-sse', 3, 'mcp-proxy-sse', 'seq16'), noForeignFrames('openmcp-sse')],
  'http-http': [
    atLeast('openmcp-http', 0.85, 'floor-http', 'seq16'),
    atLeast('openmcp-http', 0.7, 'floor-http', 'echo4m'),
    notifications('openmcp-http', 0.5, 'floor-http'),
    idleMemory('openmcp-http', 'floor-http'),
    noForeignFrames('openmcp-http'),
  ],
  'http-stdio': [
    atLeast('openmcp-stdio', 8, 'supergateway-stdio', 'seq16'),
    atLeast('openmcp-stdio', 8, 'mcp-remote', 'seq16'),
    noForeignFrames('openmcp-stdio', 'openmcp-stdio-sse'),
  ],
  guard: [
    atLeast('openmcp-bearer', 0.93, 'openmcp-open', 'seq16'),
    atMostMore('openmcp-fresh', 0.4, 'openmcp-bearer', 'seq1'),
    atMostMore('openmcp-dpop', 0.3, 'openmcp-bearer', 'seq1'),
    rate('openmcp-bearer', 800, 'mint'),
  ],
  openapi: [atLeast('openmcp-openapi', 4, 'mcpo', 'seq16'), atLeast('openmcp-openapi', 0.85, 'openmcp-mcp', 'seq16')],
  keys: [
    atMostMoreCpu('openmcp-key', 10, 'openmcp-nobody', 'seq16'),
    atMostMoreCpu('openmcp-key', 10, 'openmcp-token', 'seq16'),
    atLeast('openmcp-keys', 0.97, 'openmcp-key', 'seq16'),
    atMostMore('openmcp-key-new', 0.4, 'openmcp-key', 'seq1'),
  ],
  tsp: [
    rate('openmcp', 3000, 'seal1k', { column: 'perCpuSecond', of: 'second of one core' }),
    atLeast('openmcp', 0.5, 'tsp_sdk', 'seal1k', 'perCpuSecond'),
    atMostMore('sealed', 1, 'plain', 'hop1k'),
  ],
}

/** One line per target of a mode: `{ target, wanted, measured, verdict: 'yes' | 'no' | 'not measured' }`. */
export function judge(rows, mode) {
  const results = resultsOf(rows, mode)
  return TARGETS[mode].map(({ target, wanted, look }) => {
    const seen = look(results)
    if (seen === undefined) return { target, wanted, measured: '–', verdict: 'not measured' }
    return { target, wanted, measured: seen.measured, verdict: seen.reached ? 'yes' : 'no' }
  })
}

function atLeast(peer, factor, other, scenario, column = 'perSecond') {
  return {
    target: `${peer} against ${other}, ${scenario}`,
    wanted: `≥ ${factor} ×`,
    look(results) {
      const ratio = results.ratio(peer, other, scenario, column)
      if (ratio === undefined) return undefined
      const failed = results.total(peer, scenario, 'failed')
      const failures = failed > 0 ? `, ${failed} calls failed` : ''
      return { reached: ratio >= factor && failed === 0, measured: `${ratio.toFixed(2)} ×${failures}` }
    },
  }
}

function atMostMore(peer, most, other, scenario, { column, called, unit, digits } = { column: 'p50Ms', called: 'p50', unit: 'ms', digits: 2 }) {
  return {
    target: `${peer} against ${other}, ${scenario}, ${called}`,
    wanted: `≤ ${most} ${unit} more`,
    look(results) {
      const more = results.difference(peer, other, scenario, column)
      if (more === undefined) return undefined
      const failed = results.total(peer, scenario, 'failed')
      const failures = failed > 0 ? `, ${failed} calls failed` : ''
      return { reached: more <= most && failed === 0, measured: `${more.toFixed(digits)} ${unit}${failures}` }
    },
  }
}

function atMostMoreCpu(peer, most, other, scenario) {
  return atMostMore(peer, most, other, scenario, { column: 'cpuUs', called: 'CPU per call', unit: 'µs', digits: 1 })
}

function rate(peer, perSecond, scenario, { column, of } = { column: 'perSecond', of: 'second' }) {
  return {
    target: `${peer}, ${scenario}`,
    wanted: `≥ ${perSecond} per ${of}`,
    look(results) {
      const seen = results.median(peer, scenario, column)
      if (!Number.isFinite(seen)) return undefined
      const failed = results.total(peer, scenario, 'failed')
      const failures = failed > 0 ? `, ${failed} failed` : ''
      return { reached: seen >= perSecond && failed === 0, measured: `${seen.toFixed(0)}${failures}` }
    },
  }
}

function notifications(peer, factor, other) {
  return {
    target: `${peer} against ${other}, notify`,
    wanted: `≥ ${factor} ×, 0 lost`,
    look(results) {
      const ratio = results.ratio(peer, other, 'notify')
      if (ratio === undefined) return undefined
      const [lost, failed] = [results.total(peer, 'notify', 'lost'), results.total(peer, 'notify', 'failed')]
      const failures = failed > 0 ? `, ${failed} calls failed` : ''
      return {
        reached: ratio >= factor && lost === 0 && failed === 0,
        measured: `${ratio.toFixed(2)} ×, ${lost} lost${failures}`,
      }
    },
  }
}

function coldStart(peer, other) {
  return {
    target: `${peer} against ${other}, start to first answer`,
    wanted: `≤ ${COLD_LIMIT} ×`,
    look(results) {
      const ratio = results.ratio(peer, other, 'cold', 'coldMs')
      return ratio && { reached: ratio <= COLD_LIMIT, measured: `${ratio.toFixed(2)} ×` }
    },
  }
}

// The child is left aside: what counts is how the process of the proxy itself grows.
function idleMemory(peer, other) {
  return {
    target: `${peer} against ${other}, memory per idle session`,
    wanted: `≤ ${IDLE_LIMIT_KB} KB more`,
    look(results) {
      const perSessionKb = (name) => (results.median(name, 'idle', 'proxyMbPer100') * 1024) / 100
      const more = perSessionKb(peer) - perSessionKb(other)
      if (!Number.isFinite(more)) return undefined
      const failed = results.total(peer, 'idle', 'failed')
      const failures = failed > 0 ? `, ${failed} sessions failed` : ''
      return { reached: more <= IDLE_LIMIT_KB && failed === 0, measured: `${Math.abs(more).toFixed(1)} KB ${more < 0 ? 'less' : 'more'}${failures}` }
    },
  }
}

// The scenario that provokes them has to have run, with calls that succeeded; every other one is counted as well.
function noForeignFrames(...peers) {
  return {
    target: `${peers.join(', ')}: frames that belong to another session`,
    wanted: '0',
    look(results) {
      const provoked = peers.every((peer) => results.total(peer, 'cross', 'calls') > 0)
      if (!provoked) return undefined
      const foreign = peers.flatMap((peer) => results.all.filter((row) => row.peer === peer)).reduce((n, row) => n + (row.foreign ?? 0), 0)
      return { reached: foreign === 0, measured: String(foreign) }
    },
  }
}
