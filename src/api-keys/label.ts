// What a person calls a key: one line, and nothing that turns the line around it.

export const MOST_LABEL = 64

// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const NOT_SHOWN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

export function isLabel(text: string): boolean {
  return text.length <= MOST_LABEL && !NOT_SHOWN.test(text)
}
