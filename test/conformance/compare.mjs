// Compares two runs check by check: node compare.mjs REFERENCE.json OTHER.json (exit code 1 when a check was lost).
import { readFileSync } from 'node:fs'

// From worst to best. INFO is the suite's word for a check it could not make.
const ORDER = ['FAILURE', 'WARNING', 'SKIPPED', 'SUCCESS']

/** What a leg lost against the reference: checks that got worse, that vanished, or that appear only to complain. */
export function lostChecks(reference, leg) {
  return unionOfKeys(reference.scenarios, leg.scenarios).flatMap((scenario) =>
    lostInScenario(reference.scenarios[scenario] ?? {}, leg.scenarios[scenario] ?? {}).map((loss) => ({
      scenario,
      ...loss,
    })),
  )
}

export function describeLoss({ scenario, check, was = 'not made', is = 'not made', why }) {
  return `${scenario}: ${check}: ${was} → ${is}${why ? `: ${oneLine(why)}` : ''}`
}

export function oneLine(words) {
  return words.replaceAll(/\s+/g, ' ').slice(0, 400)
}

/** The leg of a run that another run's leg is measured against. */
export function sameLeg(run, { role, revision }) {
  return run.legs.find((leg) => leg.role === role && leg.revision === revision)
}

function lostInScenario(before, now) {
  return unionOfKeys(before, now)
    .map((check) => ({ check, was: before[check]?.status, is: now[check]?.status, why: now[check]?.why }))
    .filter(({ was, is }) => isWorse(was, is))
}

function isWorse(was, is) {
  if (!ORDER.includes(was)) return is === 'FAILURE' || is === 'WARNING'
  if (!ORDER.includes(is)) return was !== 'FAILURE'
  return ORDER.indexOf(is) < ORDER.indexOf(was)
}

function unionOfKeys(one, other) {
  return Array.from(new Set([...Object.keys(one), ...Object.keys(other)]))
}

function main(files) {
  const [reference, other] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')))
  const lost = other.legs.flatMap((leg) => lostChecks(sameLeg(reference, leg), leg).map((loss) => `LOST ${leg.role} ${leg.revision} ${describeLoss(loss)}`))
  console.log([...lost, `${other.target} against ${reference.target}: ${lost.length} lost`].join('\n'))
  return lost.length > 0 ? 1 : 0
}

if (import.meta.filename === process.argv[1]) process.exitCode = main(process.argv.slice(2))
