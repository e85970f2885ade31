// What a person calls a key: one line, and nothing that turns the line around it or hides in it.

export const MOST_LABEL = 64

/** Controls, ends of lines, halves of characters, and what gives a text its form without being seen: but two, which Persian and emoji need. */
const NOT_SHOWN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/u

export function isLabel(text: string): boolean {
  return text.length <= MOST_LABEL && !NOT_SHOWN.test(text)
}
