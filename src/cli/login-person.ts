// The one at the terminal who logs in: is shown where to go, and may paste what the browser was sent to.
import { createInterface } from 'node:readline'
import type { LoginAsked } from '../login/before-login.ts'
import type { DeviceInvitation } from '../login/device-login.ts'
import type { Login } from '../login/login.ts'
import type { Invitation, Person } from '../login/wait-for-code.ts'
import type { Io } from './io.ts'
import { openBrowser } from './open-browser.ts'
import { say, warn } from './terminal.ts'

export function personAt(io: Io, mayOpen: boolean): Person {
  return {
    show(invitation) {
      invite(io, invitation)
      if (!mayOpen) return
      void openBrowser(invitation.url, io).then((opened) => opened && say(io, 'a browser was opened'))
    },
    onPasted(take) {
      // Left to itself a terminal cuts a line at 1024 characters on some systems, and addresses with a code are longer.
      const isTerminal = [io.stdin, io.stderr].every((stream) => 'isTTY' in stream && stream.isTTY === true)
      const lines = createInterface({ input: io.stdin, output: io.stderr, terminal: isTerminal, historySize: 0 })
      lines.on('line', take)
      lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      return () => {
        lines.close()
        io.stdin.pause()
      }
    },
    tellWrong: (why) => warn(io, `what was pasted is no answer to this login: ${why}`),
  }
}

function invite(io: Io, { url, issuer, redirectUri }: Invitation): void {
  say(io, `${issuer} wants a person to log in; open this address in a browser:`)
  // Written as it is, for it must be copied whole: an address of the parser's own making, with no secret in it.
  io.stderr.write(`${url.href}\n`)
  say(io, `in a browser elsewhere: paste the address that it is sent to in the end (${redirectUri}?...) here`)
}

/** With a browser at another device, where a code is typed (RFC 8628): nothing is opened here. */
export async function loginAtAnotherDevice(options: LoginAsked, io: Io): Promise<Login> {
  const [{ deviceLogin }, { setTimeout: sleep }] = await Promise.all([import('../login/device-login.ts'), import('node:timers/promises')])
  return deviceLogin({
    ...options,
    show: (invitation) => inviteElsewhere(io, invitation),
    // The timer's own words are about the abort; those of the signal say why.
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => Promise.reject(signal.reason)),
  })
}

function inviteElsewhere(io: Io, { issuer, url, code }: DeviceInvitation): void {
  say(io, `${issuer} wants a person to log in; open this address in a browser anywhere, and type this code there:`)
  io.stderr.write(`${url.href}\n${code}\n`)
}
