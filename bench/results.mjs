// Reads the rows of one or more runs: who was measured at what, and how two of them compare.
import { median, sum } from './lib/numbers.mjs'

const turn = ({ run, rep }) => `${run} ${rep}`

/**
 * Gives `{ rows(peer, scenario), peers, median(peer, scenario, column), total(peer, scenario, column), ratio(a, b, scenario, column),
 * difference(a, b, scenario, column) }` for one mode. Both are the median over slices of the same turn of the same run, or undefined where there is no such pair: a
 * slice in which nothing succeeded counts as 0, and nothing is compared with one.
 */
export function resultsOf(allRows, mode) {
  const ofMode = allRows.filter((row) => row.mode === mode)
  const rows = (peer, scenario) => ofMode.filter((row) => row.peer === peer && row.scenario === scenario)
  return {
    all: ofMode,
    peers: [...new Set(ofMode.filter((row) => row.peer && row.skipped === undefined).map((row) => row.peer))],
    rows,
    median: (peer, scenario, column) => median(rows(peer, scenario).map((row) => row[column])),
    total: (peer, scenario, column) => sum(rows(peer, scenario).map((row) => row[column] ?? 0)),
    ratio(a, b, scenario, column = 'perSecond') {
      const others = new Map(rows(b, scenario).map((row) => [turn(row), row[column]]))
      const pairs = rows(a, scenario).map((row) => [row[column], others.get(turn(row))])
      const value = median(pairs.filter(([, other]) => other > 0).map(([own, other]) => own / other))
      return Number.isFinite(value) ? value : undefined
    },
    difference(a, b, scenario, column) {
      const others = new Map(rows(b, scenario).map((row) => [turn(row), row[column]]))
      const value = median(rows(a, scenario).map((row) => row[column] - others.get(turn(row))))
      return Number.isFinite(value) ? value : undefined
    },
  }
}
