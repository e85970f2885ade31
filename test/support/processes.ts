// What runs on this machine, as /proc tells it.
import { readFileSync, readdirSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import { until } from './until.ts'

/** Whether a process runs. One that has ended and waits to be collected does not. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid)
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X'
}

/** The id of the process group that a process belongs to. */
export function groupOf(pid: number): number {
  const stat = statOf(pid)
  if (!stat) throw new Error(`there is no process ${pid}`)
  return stat.group
}

/** All living processes of a group. */
export function membersOf(group: number): number[] {
  return pids().filter((pid) => statOf(pid)?.group === group && isAlive(pid))
}

/** The living children of a process. */
export function childrenOf(parent: number): number[] {
  return pids().filter((pid) => statOf(pid)?.parent === parent && isAlive(pid))
}

export async function gone(...processes: number[]): Promise<void> {
  await until(`the end of ${processes.join(', ')}`, () => processes.every((pid) => !isAlive(pid)))
}

/** A process that might survive a failing test does not survive the test. */
export function killAfterTest(...processes: number[]): void {
  onTestFinished(() => {
    for (const pid of processes.filter(isAlive)) process.kill(pid, 'SIGKILL')
  })
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function statOf(pid: number): { state: string; parent: number; group: number } | undefined {
  try {
    // The program's name stands in parentheses and may hold anything.
    const [state = '', parent = '', group = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return { state, parent: Number(parent), group: Number(group) }
  } catch {
    return undefined
  }
}
