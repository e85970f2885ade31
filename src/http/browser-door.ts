// What holds for a page of ours: nothing but our own script and style, nothing inline, nobody around us, no text that becomes markup.
import type { RequestHandler } from 'express'
import helmet from 'helmet'

export interface BrowserDoorOptions {
  /** Where pictures may come from beside nowhere. */
  images?: readonly string[]
  /** A page that opens nobody's window and is opened by nobody's: it has its window alone. */
  opener: 'same-origin' | 'same-origin-allow-popups'
}

export function browserDoor({ images = [], opener }: BrowserDoorOptions): RequestHandler {
  const rules = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        ...(images.length > 0 && { imgSrc: [...images] }),
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
        requireTrustedTypesFor: ["'script'"],
        trustedTypes: ["'none'"],
      },
    },
    // The app's own helmet has said it, or it is said without TLS.
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    crossOriginOpenerPolicy: { policy: opener },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    xXssProtection: false,
  })
  return (req, res, next) =>
    rules(req, res, (thrown?: unknown) => {
      res.setHeader('permissions-policy', 'camera=(), microphone=(), geolocation=(), payment=()')
      next(thrown)
    })
}
