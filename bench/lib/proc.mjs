// What Linux tells about processes: memory, CPU time, descendants.
import fs from 'node:fs'
import { execFileSync } from 'node:child_process'
import { sum } from './numbers.mjs'

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK']).toString())
const ENDED = new Set(['Z', 'X'])

/** A process as /proc/PID/stat shows it, or null when it has ended. */
export function statOf(pid) {
  const stat = contentOf(`/proc/${pid}/stat`)
  const [state, parent, group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (stat === '' || ENDED.has(state)) return null
  const field = (number) => Number(rest[number - 6]) // numbered as in proc(5), where the first of `rest` is 6
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND,
    endedChildrenCpuSeconds: (field(16) + field(17)) / TICKS_PER_SECOND,
    started: field(22),
  }
}

/** All that runs below these processes, or in a group one of them leads: a child whose parent has ended keeps its group. */
export function descendantsOf(...roots) {
  const all = fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((process) => process !== null)
  const family = new Set(roots)
  for (let size = 0; size !== family.size;) {
    size = family.size
    for (const { pid, parent, group } of all) if (family.has(parent) || roots.includes(group)) family.add(pid)
  }
  return all.filter(({ pid }) => family.has(pid) && !roots.includes(pid))
}

/** CPU seconds these processes used, and all that ran below them. */
export function cpuOf(pids) {
  const roots = pids.map(statOf).filter((process) => process !== null)
  const children = descendantsOf(...pids)
  return {
    seconds: sum(roots.map((root) => root.cpuSeconds)),
    childrenSeconds: sum(roots.map((root) => root.endedChildrenCpuSeconds)) + sum(children.map((child) => child.cpuSeconds + child.endedChildrenCpuSeconds)),
  }
}

/**
 * MB these processes hold, and all that runs below them. Anonymous memory (heaps, stacks, buffers): pages of program files are
 * shared by all processes of a program, and what one of them seems to take depends on how many others run.
 */
export function memoryOf(pids) {
  const children = descendantsOf(...pids)
  return {
    mb: sum(pids.map(anonymousMb)),
    childrenMb: sum(children.map(({ pid }) => anonymousMb(pid))),
    children: children.length,
  }
}

/** CPU seconds of the whole machine since it started: spent by processes, taken by the host, and all there were. */
export function machineCpu() {
  const [, ...ticks] = contentOf('/proc/stat').split('\n', 1)[0].split(/\s+/)
  const [user, nice, system, idle, waiting, interrupts, softInterrupts, stolen] = ticks.map((n) => Number(n) / TICKS_PER_SECOND)
  const busy = user + nice + system
  return { busy, stolen, all: busy + stolen + idle + waiting + interrupts + softInterrupts }
}

const anonymousMb = (pid) => Number(contentOf(`/proc/${pid}/status`).match(/^RssAnon:\s+(\d+) kB/m)?.[1] ?? 0) / 1024

function contentOf(path) {
  try {
    return fs.readFileSync(path, 'latin1')
  } catch {
    return '' // the process ended between two looks
  }
}
