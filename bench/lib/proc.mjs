// What Linux tells about processes: memory, CPU time, descendants.
import fs from 'node:fs'
import { execFileSync } from 'node:child_process'

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
  for (let size = 0; size !== family.size; ) {
    size = family.size
    for (const { pid, parent, group } of all) if (family.has(parent) || group === root) family.add(pid)
  }
  return all.filter(({ pid }) => pid !== root && family.has(pid))
}

/** CPU seconds and MB of a process itself and of everything below it. PSS (shared pages counted once) costs more to read. */
export function usageOf(root, { withPss = false } = {}) {
  const self = statOf(root)
  const children = descendantsOf(root)
  const add = (read) => children.reduce((sum, child) => sum + read(child), 0)
  return {
    cpuSeconds: self?.cpuSeconds ?? 0,
    childrenCpuSeconds: (self?.endedChildrenCpuSeconds ?? 0) + add((child) => child.cpuSeconds + child.endedChildrenCpuSeconds),
    children: children.length,
    rssMb: statusMb(root, 'VmRSS'),
    peakRssMb: statusMb(root, 'VmHWM'),
    childrenRssMb: add(({ pid }) => statusMb(pid, 'VmRSS')),
    treePssMb: withPss ? pssMb(root) + add(({ pid }) => pssMb(pid)) : 0,
  }
}

/** The sum of several usages: a proxy that is one process per session. */
export function totalUsage(usages) {
  const total = { cpuSeconds: 0, childrenCpuSeconds: 0, children: 0, rssMb: 0, peakRssMb: 0, childrenRssMb: 0, treePssMb: 0 }
  for (const usage of usages) for (const name in total) total[name] += usage[name]
  return total
}

/** CPU time of the whole machine since it started, and the part of it the host gave to somebody else. */
export function machineTicks() {
  const [, ...ticks] = contentOf('/proc/stat').split('\n', 1)[0].split(/\s+/)
  const numbers = ticks.slice(0, 8).map(Number)
  return { all: numbers.reduce((sum, n) => sum + n, 0), stolen: numbers[7] }
}

const statusMb = (pid, name) => kilobytes(contentOf(`/proc/${pid}/status`), name) / 1024
const pssMb = (pid) => kilobytes(contentOf(`/proc/${pid}/smaps_rollup`), 'Pss') / 1024
const kilobytes = (text, name) => Number(text.match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))?.[1] ?? 0)

function contentOf(path) {
  try {
    return fs.readFileSync(path, 'latin1')
  } catch {
    return '' // the process ended between two looks
  }
}
