/** What is told of what is not taken as it is. */
export interface Notes {
  leftOut(path: string, words?: string): void
}
