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

/** All that runs below a process, or in the group it leads: a child whose parent has ended keeps its group. */
export function descendantsOf(root) {
  const all = fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((process) => process !== null)
  const family = new Set([root])
  for (let size = 0; size !== family.size;) {
    size = family.size
    for (const { pid, parent, group } of all) if (family.has(parent) || group === root) family.add(pid)
  }
  return all.filter(({ pid }) => pid !== root && family.has(pid))
}

/**
 * CPU seconds and MB of a process itself and of everything below it. MB are anonymous memory (heaps, stacks, buffers): pages of
 * program files are shared by all processes of a program, and what one of them seems to take depends on how many others run.
 */
export function usageOf(root) {
  const self = statOf(root)
  const children = descendantsOf(root)
  const overChildren = (read) => sum(children.map(read))
  const { cpuSeconds = 0, endedChildrenCpuSeconds = 0 } = self ?? {}
  return {
    cpuSeconds,
    childrenCpuSeconds: endedChildrenCpuSeconds + overChildren((child) => child.cpuSeconds + child.endedChildrenCpuSeconds),
    mb: anonymousMb(root),
    childrenMb: overChildren(({ pid }) => anonymousMb(pid)),
    children: children.length,
  }
}

/** The sum of several usages: a proxy that is one process per session. */
export function totalUsage(usages) {
  const total = { cpuSeconds: 0, childrenCpuSeconds: 0, mb: 0, childrenMb: 0, children: 0 }
  for (const usage of usages) for (const name in total) total[name] += usage[name]
  return total
}

/** CPU time of the whole machine since it started, and the part of it the host gave to somebody else. */
export function machineTicks() {
  const [, ...ticks] = contentOf('/proc/stat').split('\n', 1)[0].split(/\s+/)
  const numbers = ticks.slice(0, 8).map(Number)
  return { all: sum(numbers), stolen: numbers[7] }
}

const anonymousMb = (pid) => Number(contentOf(`/proc/${pid}/status`).match(/^RssAnon:\s+(\d+) kB/m)?.[1] ?? 0) / 1024

function contentOf(path) {
  try {
    return fs.readFileSync(path, 'latin1')
  } catch {
    return '' // the process ended between two looks
  }
}
