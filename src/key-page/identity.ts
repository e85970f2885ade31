// Somebody who can prove who they are: a wallet, or a key of this browser.

export interface Identity {
  /** What the server is asked with. */
  readonly asked: { readonly hex_string: string } | { readonly did: string }
  /** As people read it. */
  readonly shown: string
  /** Whether a person is asked for each signature, in another window. */
  readonly asksPerson: boolean
  /** Of the message's UTF-8, as the server wants it. */
  sign(message: string): Promise<string>
  /** Something that is worth a word, and no hindrance. */
  note(): Promise<string | undefined>
}

/** A failure in words for a person. */
export class Told extends Error {}

/** The person does not wait any more. */
export class Stopped extends Error {}

/** Proved, and nobody has said that it may come in. */
export class NotTrusted extends Error {
  /** What whoever runs the server can type. */
  readonly how: string
  constructor(how: string) {
    super(how)
    this.how = how
  }
}
