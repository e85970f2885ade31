// What was started for a program ends with it, also when it ends without having closed anything.
import { killAllChildren } from '../upstream/child.ts'

let isWatched = false

export function endChildrenWithUs(): void {
  if (!isWatched) process.once('exit', killAllChildren)
  isWatched = true
}
